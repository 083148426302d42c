import torch
from diffusers import StableDiffusionImg2ImgPipeline
from PIL import Image

pipe = StableDiffusionImg2ImgPipeline.from_pretrained("tiny/stable-diffusion")
init_image = Image.open("tiny/photo.png").convert("RGB").resize((32, 48))

images = []
for strength in (0.3, 0.75, 1.0):
    out = pipe(
        prompt="a cat",
        image=init_image,
        strength=strength,
        guidance_scale=7.5,
        num_inference_steps=6,
        generator=torch.Generator().manual_seed(8),
        output_type="np",
    )
    images.append(out.images[0])
