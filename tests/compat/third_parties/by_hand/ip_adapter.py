import diffusers.pipelines.controlnet
import torch
from diffusers import StableDiffusionPipeline
from diffusers.models import MultiControlNetModel

diffusers.pipelines.controlnet.MultiControlNetModel = MultiControlNetModel  # where earlier releases had it

from ip_adapter import IPAdapter  # noqa: E402

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None, torch_dtype=torch.float16)
adapter = IPAdapter(
    pipe, "tiny/ip-adapter/models/image_encoder", "tiny/ip-adapter/models/ip-adapter.safetensors", "cpu"
)
told = adapter.get_image_embeds(clip_image_embeds=torch.linspace(-1, 1, 24)[None])
images = adapter.generate(
    clip_image_embeds=torch.linspace(-1, 1, 24)[None],
    prompt="a hello cat",
    num_samples=1,
    seed=0,
    num_inference_steps=3,
    output_type="np",
)
