import torch
from diffusers import DDPMScheduler

scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="scaled_linear", prediction_type="v_prediction")
torch.manual_seed(0)
clean, noise = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
t = torch.randint(0, scheduler.config.num_train_timesteps, (4,))
noisy = scheduler.add_noise(clean, noise, t)
velocity = scheduler.get_velocity(clean, noise, t)
signal = scheduler.alphas_cumprod[t]
scheduler.set_timesteps(10)
stepped = scheduler.step(velocity[:1], scheduler.timesteps[0], noisy[:1], generator=torch.manual_seed(1))
previous, original = stepped.prev_sample, stepped.pred_original_sample
count, kind = len(scheduler), scheduler.config.prediction_type
