import torch
from diffusers import KandinskyV22Img2ImgPipeline, KandinskyV22InpaintPipeline, KandinskyV22PriorEmb2EmbPipeline
from diffusers.utils import load_image

photo, mask = load_image("tiny/photo.png"), load_image("tiny/mask.png").convert("L")
prior = KandinskyV22PriorEmb2EmbPipeline.from_pretrained("tiny/kandinsky-2-2-prior")
emb = prior("a cat", image=photo, strength=0.8, num_inference_steps=4, generator=torch.manual_seed(0))
options = dict(height=32, width=32, num_inference_steps=4, output_type="np")
img2img = KandinskyV22Img2ImgPipeline.from_pretrained("tiny/kandinsky-2-2-decoder")
changed = img2img(image=photo, strength=0.5, generator=torch.manual_seed(1), **emb, **options).images
inpaint = KandinskyV22InpaintPipeline.from_pretrained("tiny/kandinsky-2-2-decoder-inpaint")
mended = inpaint(image=photo, mask_image=mask, generator=torch.manual_seed(2), **emb, **options).images
image_embeds = emb.image_embeds
