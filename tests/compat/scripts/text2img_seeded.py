import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", torch_dtype=torch.float32)
pipe = pipe.to("cpu")

generator = torch.Generator("cpu").manual_seed(31)
images = pipe(
    "a cat and hello",
    negative_prompt="blurry",
    num_inference_steps=4,
    guidance_scale=6.5,
    num_images_per_prompt=2,
    generator=generator,
    output_type="np",
).images
picture = pipe("a cat", num_inference_steps=2, generator=torch.manual_seed(0)).images[0]
size = picture.size
