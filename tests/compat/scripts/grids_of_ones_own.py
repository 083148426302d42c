import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler, StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import retrieve_timesteps

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)
by_timesteps = pipe("a cat", timesteps=[999, 700, 300, 50], generator=torch.manual_seed(0), output_type="np").images
pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
by_sigmas = pipe("a cat", sigmas=[14.6, 3.2, 0.8, 0.1], generator=torch.manual_seed(0), output_type="np").images
timesteps, count = retrieve_timesteps(pipe.scheduler, 5, "cpu")
given, given_count = retrieve_timesteps(pipe.scheduler, device="cpu", sigmas=[5.0, 1.0])
