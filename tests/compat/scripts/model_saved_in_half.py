import os

import torch
from diffusers import UNet2DConditionModel

unet = UNet2DConditionModel.from_pretrained("tiny/stable-diffusion", subfolder="unet", torch_dtype=torch.float16)
unet.save_pretrained("half-unet", variant="fp16")
files = sorted(os.listdir("half-unet"))
again = UNet2DConditionModel.from_pretrained("half-unet", variant="fp16", torch_dtype=torch.float16)
kind, parameters = str(again.dtype), again.num_parameters()
total = sum(p.float().abs().sum().item() for p in again.parameters())
with torch.no_grad():
    told = again.float()(torch.ones(1, 4, 16, 16), 10, torch.ones(1, 5, 32)).sample
