import torch
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained("tiny/stable-diffusion")
seen, steps = [], []


def watch(pipe, step, timestep, callback_kwargs):
    seen.append(callback_kwargs["latents"].clone())
    steps.append(int(timestep))
    return callback_kwargs


final = pipe(
    "a cat",
    num_inference_steps=5,
    generator=torch.manual_seed(1),
    output_type="latent",
    callback_on_step_end=watch,
    callback_on_step_end_tensor_inputs=["latents"],
).images
