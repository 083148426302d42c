import torch
from diffusers import UNet2DConditionModel

unet = UNet2DConditionModel.from_pretrained("tiny/stable-diffusion", subfolder="transformer")
with torch.no_grad():
    print(unet(torch.ones(1, 4, 16, 16), 10, torch.ones(1, 5, 32)).sample.mean())
