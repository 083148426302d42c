import torch
from diffusers import UNet2DConditionModel

unet = UNet2DConditionModel.from_pretrained("tiny/stable-diffusion", subfolder="unet")
unet(torch.ones(1, 3, 16, 16), 10, torch.ones(1, 5, 32))
