from diffusers import ControlNetModel, StableDiffusionControlNetPipeline

controlnet = ControlNetModel.from_pretrained("tiny/controlnet")
pipe = StableDiffusionControlNetPipeline.from_pretrained("tiny/stable-diffusion", controlnet=controlnet)
pipe("a cat", image="tiny/mask.png", num_inference_steps=2)
