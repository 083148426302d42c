# differs: a ValueError that names the argument; the peer fails in a matrix product, a RuntimeError.
import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
embeds = torch.zeros(1, 77, 48)
pipe(prompt_embeds=embeds, negative_prompt_embeds=embeds, num_inference_steps=2)
