import torch
from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting, AutoPipelineForText2Image
from diffusers.utils import load_image

text2img = AutoPipelineForText2Image.from_pretrained("tiny/stable-diffusion")
images = text2img("a cat", num_inference_steps=3, generator=torch.manual_seed(0), output_type="np").images
img2img = AutoPipelineForImage2Image.from_pipe(text2img)
changed = img2img(
    "a cat", image=load_image("tiny/photo.png"), num_inference_steps=4, generator=torch.manual_seed(0), output_type="np"
).images
inpaint = AutoPipelineForInpainting.from_pretrained("tiny/stable-diffusion")
kinds = [type(pipe).__name__ for pipe in (text2img, img2img, inpaint)]
