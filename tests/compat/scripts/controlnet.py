import torch
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline, UniPCMultistepScheduler
from diffusers.utils import load_image

controlnet = ControlNetModel.from_pretrained("tiny/controlnet", torch_dtype=torch.float32)
pipe = StableDiffusionControlNetPipeline.from_pretrained("tiny/stable-diffusion", controlnet=controlnet)
pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config)
pose = load_image("tiny/mask.png")

image = pipe("a cat", image=pose, num_inference_steps=4, generator=torch.manual_seed(0), output_type="np").images
weak = pipe(
    "a cat",
    image=pose,
    num_inference_steps=4,
    generator=torch.manual_seed(0),
    controlnet_conditioning_scale=0.4,
    control_guidance_end=0.5,
    output_type="np",
).images
