from diffusers import ControlNetModel, StableDiffusionControlNetPipeline
from diffusers.utils import load_image

controlnet = ControlNetModel.from_pretrained("tiny/controlnet")
pipe = StableDiffusionControlNetPipeline.from_pretrained("tiny/stable-diffusion", controlnet=controlnet)
hint = load_image("tiny/mask.png")
pipe(["a cat", "hello"], image=[hint, hint, hint], num_inference_steps=2)
