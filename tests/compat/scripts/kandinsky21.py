import torch
from diffusers import DDIMScheduler, KandinskyImg2ImgPipeline, KandinskyPipeline, KandinskyPriorPipeline
from diffusers.utils import load_image

prior = KandinskyPriorPipeline.from_pretrained("tiny/kandinsky-2-1-prior")
out = prior("a cube", negative_prompt="low quality", num_inference_steps=2, generator=torch.manual_seed(0))
image_emb, zero_image_emb = out.image_embeds, out.negative_image_embeds
pipe = KandinskyPipeline.from_pretrained("tiny/kandinsky-2-1-decoder")
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
options = dict(image_embeds=image_emb, negative_image_embeds=zero_image_emb, height=32, width=32, output_type="np")
images = pipe("red cat", num_inference_steps=3, generator=torch.manual_seed(1), **options).images
img2img = KandinskyImg2ImgPipeline(**pipe.components)
photo = load_image("tiny/photo.png")
changed = img2img(
    "red cat", image=photo, strength=0.5, num_inference_steps=4, generator=torch.manual_seed(1), **options
).images
