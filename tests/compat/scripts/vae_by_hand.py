import torch
from diffusers import AutoencoderKL
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

vae = AutoencoderKL.from_pretrained("tiny/stable-diffusion", subfolder="vae")
processor = VaeImageProcessor(vae_scale_factor=2)
pixels = processor.preprocess(Image.open("tiny/photo.png"), height=32, width=32)
with torch.no_grad():
    posterior = vae.encode(pixels).latent_dist
    drawn = posterior.sample(generator=torch.manual_seed(0))
    likeliest = posterior.mode()
    decoded = vae.decode(likeliest).sample
    again = vae(pixels, sample_posterior=False).sample
mean, std, kl = posterior.mean, posterior.std, posterior.kl()
picture = processor.postprocess(decoded.detach(), output_type="np")
scaling = vae.config.scaling_factor
