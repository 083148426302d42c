from diffusers import StableDiffusionInpaintPipeline
from diffusers.utils import load_image

pipe = StableDiffusionInpaintPipeline.from_pretrained("tiny/stable-diffusion")
pipe("a cat", image=load_image("tiny/photo.png"), mask_image=None, num_inference_steps=2)
