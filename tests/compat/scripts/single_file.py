import torch
from diffusers import AutoencoderKL, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from diffusers.utils import load_image

pipe = StableDiffusionPipeline.from_single_file(
    "tiny/single-file.safetensors", config="tiny/stable-diffusion", local_files_only=True, torch_dtype=torch.float32
)
images = pipe("a cat", num_inference_steps=3, generator=torch.manual_seed(0), output_type="np").images
kind = type(pipe.scheduler).__name__

vae = AutoencoderKL.from_single_file("tiny/single-file.safetensors", config="tiny/stable-diffusion", subfolder="vae")
img2img = StableDiffusionImg2ImgPipeline.from_single_file(
    "tiny/single-file.safetensors", config="tiny/stable-diffusion", vae=vae, safety_checker=None
)
changed = img2img(
    "a cat", image=load_image("tiny/photo.png"), num_inference_steps=3, generator=torch.manual_seed(0), output_type="np"
).images
