from diffusers import StableDifusionPipeline

pipe = StableDifusionPipeline.from_pretrained("tiny/stable-diffusion")
