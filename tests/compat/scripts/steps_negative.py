# differs: refused; the peer gives a picture nobody asked for.
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
pipe("a cat", num_inference_steps=-2)
