from diffusers import ControlNetModel, StableDiffusionControlNetPipeline
from diffusers.utils import load_image

controlnet = ControlNetModel.from_pretrained("tiny/controlnet")
pipe = StableDiffusionControlNetPipeline.from_pretrained("tiny/stable-diffusion", controlnet=controlnet)
hint = load_image("tiny/mask.png")
pipe("a cat", image=hint, controlnet_conditioning_scale=[1.0, 0.5], num_inference_steps=2)
