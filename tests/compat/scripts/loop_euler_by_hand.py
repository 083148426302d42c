import torch
from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
from tqdm.auto import tqdm

unet = UNet2DConditionModel.from_pretrained("tiny/stable-diffusion", subfolder="unet").eval()
scheduler = EulerDiscreteScheduler.from_pretrained("tiny/stable-diffusion", subfolder="scheduler")
scheduler.set_timesteps(5, device="cpu")

g = torch.Generator().manual_seed(7)
sample = torch.randn(2, 4, 16, 16, generator=g) * scheduler.init_noise_sigma
context = torch.randn(2, 7, 32, generator=g)
spread = float(scheduler.init_noise_sigma)
with torch.inference_mode():
    for t in tqdm(scheduler.timesteps, disable=True):
        noise = unet(scheduler.scale_model_input(sample, t), t, context, return_dict=False)[0]
        sample = scheduler.step(noise, t, sample, return_dict=False)[0]
timesteps, sigmas = scheduler.timesteps, scheduler.sigmas
