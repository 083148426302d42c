import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
options = dict(num_inference_steps=2, output_type="np")
pipe.enable_freeu(s1=0.9, s2=0.2, b1=1.5, b2=1.6)
images = pipe("a cat", generator=torch.manual_seed(0), **options).images
pipe.disable_freeu()
plain = pipe("a cat", generator=torch.manual_seed(0), **options).images
