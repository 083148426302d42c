import torch
from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting, AutoPipelineForText2Image
from diffusers.utils import load_image

text2img = AutoPipelineForText2Image.from_pretrained("tiny/stable-diffusion-xl")
img2img = AutoPipelineForImage2Image.from_pipe(text2img)
inpaint = AutoPipelineForInpainting.from_pipe(text2img)
photo, mask = load_image("tiny/photo.png"), load_image("tiny/mask.png")
options = dict(num_inference_steps=4, output_type="np")
changed = img2img("a cat", image=photo, strength=0.6, generator=torch.manual_seed(0), **options).images
mended = inpaint(
    "a cat", image=photo, mask_image=mask, strength=0.99, height=32, width=32, generator=torch.manual_seed(0), **options
).images
ids = text2img._get_add_time_ids((64, 64), (0, 0), (64, 64), torch.float32, 16)
kinds = [type(pipe).__name__ for pipe in (text2img, img2img, inpaint)]
