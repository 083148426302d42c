import torch
from diffusers import KandinskyV22Pipeline, KandinskyV22PriorPipeline
from diffusers.utils import load_image

prior = KandinskyV22PriorPipeline.from_pretrained("tiny/kandinsky-2-2-prior")
photo = load_image("tiny/photo.png")
things = ["a cat", photo, photo.transpose(0)]
out = prior.interpolate(things, [0.3, 0.3, 0.4], num_inference_steps=2, generator=torch.manual_seed(0))
image_embeds, negative = out.image_embeds, out.negative_image_embeds
zero = prior.get_zero_embed()
pipe = KandinskyV22Pipeline.from_pretrained("tiny/kandinsky-2-2-decoder")
image = pipe(**out, height=32, width=32, num_inference_steps=2, generator=torch.manual_seed(0), output_type="pt").images
