import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
embeds = torch.zeros(1, 77, 32)
image = pipe("a cat", prompt_embeds=embeds, num_inference_steps=2).images[0]
