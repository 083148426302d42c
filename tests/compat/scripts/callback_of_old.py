import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
seen, steps = [], []


def progress(step, timestep, latents):
    steps.append([step, int(timestep)])
    seen.append(latents.clone())


images = pipe(
    "a cat",
    num_inference_steps=4,
    generator=torch.manual_seed(0),
    callback=progress,
    callback_steps=2,
    output_type="np",
).images
