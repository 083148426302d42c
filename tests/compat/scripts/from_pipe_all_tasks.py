import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline
from diffusers.utils import load_image

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
first = pipe("a cat", num_inference_steps=3, generator=torch.manual_seed(0), output_type="np").images
init, mask = load_image("tiny/photo.png"), load_image("tiny/mask.png")

img2img = StableDiffusionImg2ImgPipeline.from_pipe(pipe)
again = img2img(
    "a cat", image=init, strength=0.6, num_inference_steps=5, generator=torch.manual_seed(0), output_type="np"
)
inpaint = StableDiffusionInpaintPipeline.from_pipe(img2img)
mended = inpaint(
    "a cat", image=init, mask_image=mask, num_inference_steps=3, generator=torch.manual_seed(0), output_type="np"
).images
again = again.images
shared = int(pipe.unet is inpaint.unet) + int(pipe.vae is img2img.vae)
