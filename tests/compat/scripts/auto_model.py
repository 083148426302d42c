import torch
from diffusers import AutoModel

unet = AutoModel.from_pretrained("tiny/stable-diffusion", subfolder="unet")
vae = AutoModel.from_pretrained("tiny/stable-diffusion", subfolder="vae", torch_dtype=torch.float16)
net = AutoModel.from_pretrained("tiny/controlnet")
text_encoder = AutoModel.from_pretrained("tiny/stable-diffusion", subfolder="text_encoder")
kinds = [type(each).__name__ for each in (unet, vae, net, text_encoder)]
dtype = str(vae.dtype)
with torch.no_grad():
    sample = unet(torch.ones(1, 4, 16, 16), 10, torch.ones(1, 5, 32)).sample
