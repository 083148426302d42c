# Options of a scheduler set in its config, and a size of a network's.
import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.scheduler.config.timestep_spacing = "trailing"
pipe.unet.config.sample_size = 8
pipe.vae.config.force_upcast = False
images = pipe("a cat", num_inference_steps=3, generator=torch.manual_seed(0), output_type="np").images
pipe.scheduler.set_timesteps(4)
timesteps, spacing = pipe.scheduler.timesteps, pipe.scheduler.config.timestep_spacing
