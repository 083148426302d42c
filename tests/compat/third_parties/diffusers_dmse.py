import torch
from diffusers import StableDiffusionPipeline
from diffusers_dmse import DMSEScheduler

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None)
scheduler = DMSEScheduler(clip_sample=False)
scheduler.set_timesteps(50)
begin = [int(number) for number in scheduler.init_step(snr=3.0)]
prediction = torch.ones(1, 4, 8, 8)
sample = scheduler.step(prediction, scheduler.timesteps[begin[1]], 2 * prediction).prev_sample
pipe.scheduler = DMSEScheduler(beta_schedule="scaled_linear", clip_sample=False, steps_offset=1)
image = pipe("a cat", num_inference_steps=5, generator=torch.Generator().manual_seed(0), output_type="np").images
