import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
steps = []


def interrupt(pipe, i, t, callback_kwargs):
    steps.append(i)
    if i == 2:
        pipe._interrupt = True
    return callback_kwargs


images = pipe(
    "a cat",
    num_inference_steps=6,
    generator=torch.manual_seed(3),
    callback_on_step_end=interrupt,
    output_type="np",
).images
