import torch
from diffusers import EulerDiscreteScheduler

scheduler = EulerDiscreteScheduler()
scheduler.set_timesteps(5)
scheduler.step(torch.zeros(1, 1, 2, 2), 3, torch.zeros(1, 1, 2, 2))
