import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.vae.enable_slicing()
pipe.vae.enable_tiling()
options = dict(num_inference_steps=2, output_type="np")
images = pipe(["a cat", "hello"], generator=torch.manual_seed(0), **options).images
on = [pipe.vae.use_slicing, pipe.vae.use_tiling]
pipe.vae.disable_slicing()
pipe.vae.disable_tiling()
again = pipe(["a cat", "hello"], generator=torch.manual_seed(0), **options).images
off = [pipe.vae.use_slicing, pipe.vae.use_tiling]
