from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
pipe("a cat", timesteps=[900, 500], sigmas=[5.0, 1.0])
