from diffusers import StableDiffusionImg2ImgPipeline

pipe = StableDiffusionImg2ImgPipeline.from_pretrained("tiny/stable-diffusion")
pipe("a cat", num_inference_steps=2)
