# Between two seeds, step by step: latents of one's own, spherically mixed.
import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
shape = (1, pipe.unet.config.in_channels, 16, 16)
a, b = (randn_tensor(shape, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
angle = torch.acos((a * b).sum() / (a.norm() * b.norm()))
frames = []
for t in np.linspace(0, 1, 3):
    latents = torch.sin((1 - t) * angle) / torch.sin(angle) * a + torch.sin(t * angle) / torch.sin(angle) * b
    frames.append(pipe("a cat", latents=latents.float(), num_inference_steps=3, output_type="np").images[0])
