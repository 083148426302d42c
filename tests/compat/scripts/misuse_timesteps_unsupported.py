from diffusers import PNDMScheduler, StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.scheduler = PNDMScheduler.from_config(pipe.scheduler.config)
pipe("a cat", timesteps=[900, 500, 100])
