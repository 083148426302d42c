import diffusers

pipe = diffusers.StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.scheduler = getattr(diffusers, "DPMSolver++Scheduler").from_config(pipe.scheduler.config)
