import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline
from diffusers.utils import load_image, make_image_grid

pipe = StableDiffusionInpaintPipeline.from_pretrained("tiny/stable-diffusion")
init, mask = load_image("tiny/photo.png"), load_image("tiny/mask.png")
blurred = pipe.mask_processor.blur(mask, blur_factor=2)
options = dict(prompt="a cat", image=init, num_inference_steps=4, height=32, width=32, output_type="np")

image = pipe(mask_image=mask, strength=0.8, generator=torch.manual_seed(0), **options).images
soft = pipe(mask_image=blurred, generator=torch.manual_seed(0), **options).images
ready = pipe.mask_processor.preprocess(mask, height=16, width=16)
picture = pipe.numpy_to_pil(image)[0]
kept = pipe.image_processor.apply_overlay(mask, init, picture)
grid = np.asarray(make_image_grid([init, picture], rows=1, cols=2))
