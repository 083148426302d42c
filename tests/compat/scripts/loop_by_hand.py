import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

model = "tiny/stable-diffusion"
vae = AutoencoderKL.from_pretrained(model, subfolder="vae")
unet = UNet2DConditionModel.from_pretrained(model, subfolder="unet")
scheduler = DDIMScheduler.from_pretrained(model, subfolder="scheduler")
pipe = StableDiffusionPipeline.from_pretrained(model, vae=vae, unet=unet, scheduler=scheduler)

cond, uncond = pipe.encode_prompt("a cat", "cpu", 1, True, negative_prompt="hello")
text = torch.cat([uncond, cond])
latents = torch.randn((1, unet.config.in_channels, 16, 16), generator=torch.manual_seed(0))
scheduler.set_timesteps(6)
latents = latents * scheduler.init_noise_sigma
for t in scheduler.timesteps:
    pair = scheduler.scale_model_input(torch.cat([latents] * 2), timestep=t)
    with torch.no_grad():
        noise = unet(pair, t, encoder_hidden_states=text).sample
    a, b = noise.chunk(2)
    latents = scheduler.step(a + 7.5 * (b - a), t, latents, eta=0.0).prev_sample
with torch.no_grad():
    image = vae.decode(latents / vae.config.scaling_factor).sample
image = (image / 2 + 0.5).clamp(0, 1)
