from diffusers import StableDiffusionPipeline

parts = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion").components
del parts["unet"]
pipe = StableDiffusionPipeline(**parts)
