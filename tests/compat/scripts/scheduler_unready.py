# differs: before set_timesteps a scheduler walks the timesteps of training; the peer refuses in most classes.
import torch
from diffusers import DDIMScheduler

scheduler = DDIMScheduler()
sample = torch.zeros(1, 3, 8, 8)
scheduler.step(sample, 10, sample)
