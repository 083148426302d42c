from diffusers import StableDiffusionImg2ImgPipeline
from diffusers.utils import load_image

pipe = StableDiffusionImg2ImgPipeline.from_pretrained("tiny/stable-diffusion")
photo = load_image("tiny/photo.png")
image = pipe("a cat", image=photo, strength=1.4, num_inference_steps=3).images[0]
