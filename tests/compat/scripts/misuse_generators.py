import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
generators = [torch.manual_seed(0), torch.manual_seed(1)]
images = pipe(["a cat", "a cat", "a cat"], generator=generators, num_inference_steps=2).images
