# differs: an attribute of a config and its item are one; in the peer each is set by itself.
from diffusers import UNet2DConditionModel

unet = UNet2DConditionModel.from_pretrained("tiny/stable-diffusion", subfolder="unet")
unet.config.sample_size = 99
attribute, item = unet.config.sample_size, unet.config["sample_size"]
