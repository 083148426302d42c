# A callback that hands back other latents, as colour guidance does.
import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")


def warmer(pipe, step, timestep, kwargs):
    latents = kwargs["latents"]
    latents[:, 0] += 0.1 * (1 - step / pipe.num_timesteps)
    return {"latents": latents}


image = pipe(
    "hello cat", num_inference_steps=4, generator=torch.manual_seed(5), callback_on_step_end=warmer, output_type="pt"
).images
