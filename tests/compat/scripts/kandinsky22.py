import torch
from diffusers import KandinskyV22Pipeline, KandinskyV22PriorPipeline

prior = KandinskyV22PriorPipeline.from_pretrained("tiny/kandinsky-2-2-prior")
pipe = KandinskyV22Pipeline.from_pretrained("tiny/kandinsky-2-2-decoder")
image_embeds, negative_image_embeds = prior(
    "a red cat", guidance_scale=1.0, num_inference_steps=3, generator=torch.manual_seed(0)
).to_tuple()
images = pipe(
    image_embeds=image_embeds,
    negative_image_embeds=negative_image_embeds,
    height=32,
    width=32,
    num_inference_steps=3,
    generator=torch.manual_seed(1),
    output_type="np",
).images
