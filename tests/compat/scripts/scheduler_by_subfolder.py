import torch
from diffusers import DPMSolverSinglestepScheduler, StableDiffusionPipeline

model = "tiny/stable-diffusion"
scheduler = DPMSolverSinglestepScheduler.from_pretrained(model, subfolder="scheduler", use_karras_sigmas=True)
pipe = StableDiffusionPipeline.from_pretrained(model, scheduler=scheduler)
image = pipe("hello", num_inference_steps=6, generator=torch.manual_seed(0), output_type="np").images[0]
scheduler.set_timesteps(8)
timesteps, order = scheduler.timesteps, scheduler.config.solver_order
scheduler.save_pretrained("my-scheduler")
again = DPMSolverSinglestepScheduler.from_pretrained("my-scheduler")
karras = again.config.use_karras_sigmas
