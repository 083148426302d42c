import torch
from diffusers import StableDiffusionXLPipeline

pipe = StableDiffusionXLPipeline.from_pretrained("tiny/stable-diffusion-xl")
pipe(prompt_embeds=torch.zeros(1, 77, 32), num_inference_steps=2)
