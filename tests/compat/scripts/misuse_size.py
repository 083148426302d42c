from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
image = pipe("a cat", height=33, width=32, num_inference_steps=2).images[0]
