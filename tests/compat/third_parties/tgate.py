import torch
from diffusers import StableDiffusionPipeline
from tgate import TgateSDLoader

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None)
pipe = TgateSDLoader(pipe, gate_step=3, sp_interval=1, fi_interval=1, warm_up=1)
gated = pipe.tgate(
    "a hello cat",
    gate_step=3,
    sp_interval=1,
    fi_interval=1,
    warm_up=1,
    num_inference_steps=6,
    generator=torch.Generator().manual_seed(0),
    output_type="np",
).images
