import numpy as np
import torch
from diffusers import AutoPipelineForInpainting
from diffusers.utils import load_image

pipe = AutoPipelineForInpainting.from_pretrained("tiny/kandinsky-2-1-decoder-inpaint")
mask = np.zeros((32, 32), dtype=np.float32)
mask[:12, 8:-8] = 1
images = pipe(
    prompt="a hat",
    image=load_image("tiny/photo.png"),
    mask_image=mask,
    height=32,
    width=32,
    prior_num_inference_steps=2,
    num_inference_steps=3,
    generator=torch.manual_seed(0),
    output_type="np",
).images
kind = type(pipe).__name__
