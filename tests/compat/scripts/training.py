import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel, compute_snr

model = "tiny/stable-diffusion"
vae = AutoencoderKL.from_pretrained(model, subfolder="vae")
unet = UNet2DConditionModel.from_pretrained(model, subfolder="unet")
noise_scheduler = DDPMScheduler.from_pretrained(model, subfolder="scheduler")
noise_scheduler.register_to_config(prediction_type="v_prediction")
vae.requires_grad_(False)
unet.train()
ema_unet = EMAModel(unet.parameters(), decay=0.99, model_cls=UNet2DConditionModel, model_config=unet.config)
optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-3, weight_decay=1e-2)
lr_scheduler = get_scheduler("cosine", optimizer=optimizer, num_warmup_steps=1, num_training_steps=4)

g = torch.Generator().manual_seed(0)
losses, rates = [], []
for _ in range(3):
    pixels = torch.randn(2, 3, 32, 32, generator=g)
    latents = vae.encode(pixels).latent_dist.sample(g) * vae.config.scaling_factor
    noise = torch.randn(latents.shape, generator=g)
    timesteps = torch.randint(0, noise_scheduler.config.num_train_timesteps, (2,), generator=g).long()
    noisy_latents = noise_scheduler.add_noise(latents, noise, timesteps)
    text = torch.randn(2, 7, 32, generator=g)
    if noise_scheduler.config.prediction_type == "epsilon":
        target = noise
    else:
        target = noise_scheduler.get_velocity(latents, noise, timesteps)
    model_pred = unet(noisy_latents, timesteps, text, return_dict=False)[0]
    snr = compute_snr(noise_scheduler, timesteps)
    weights = torch.stack([snr, 5.0 * torch.ones_like(timesteps)], dim=1).min(dim=1)[0] / (snr + 1)
    loss = F.mse_loss(model_pred.float(), target.float(), reduction="none")
    loss = (loss.mean(dim=list(range(1, len(loss.shape)))) * weights).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
    optimizer.step()
    lr_scheduler.step()
    optimizer.zero_grad()
    ema_unet.step(unet.parameters())
    losses.append(loss.item())
    rates += lr_scheduler.get_last_lr()
decay = ema_unet.cur_decay_value
ema_unet.store(unet.parameters())
ema_unet.copy_to(unet.parameters())
averaged = unet.conv_in.weight.clone()
ema_unet.restore(unet.parameters())
trained = unet.conv_in.weight.clone()
