import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionControlNetInpaintPipeline,
    StableDiffusionPipeline,
)
from diffusers.utils import load_image

base = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
controlnet = ControlNetModel.from_pretrained("tiny/controlnet")
img2img = StableDiffusionControlNetImg2ImgPipeline.from_pipe(base, controlnet=controlnet)
inpaint = StableDiffusionControlNetInpaintPipeline(**base.components, controlnet=controlnet)
photo, mask = load_image("tiny/photo.png"), load_image("tiny/mask.png")
options = dict(image=photo, control_image=mask, strength=0.7, num_inference_steps=4, output_type="np")
changed = img2img("a cat", generator=torch.manual_seed(0), **options).images
mended = inpaint("a cat", mask_image=mask, generator=torch.manual_seed(0), **options).images
