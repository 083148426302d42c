# differs: a config cannot be changed; the peer changes what is read, and the network stays as it was made.
from diffusers import UNet2DConditionModel

unet = UNet2DConditionModel.from_pretrained("tiny/stable-diffusion", subfolder="unet")
unet.config.sample_size = 99
attribute, item = unet.config.sample_size, unet.config["sample_size"]
