import torch
from diffusers import AutoPipelineForImage2Image, AutoPipelineForText2Image
from diffusers.utils import load_image

pipe = AutoPipelineForText2Image.from_pretrained("tiny/kandinsky-2-2-decoder")
options = dict(height=32, width=32, prior_num_inference_steps=2, num_inference_steps=3, output_type="np")
images = pipe("a cat", negative_prompt="blurry", generator=torch.manual_seed(0), **options).images
img2img = AutoPipelineForImage2Image.from_pipe(pipe)
changed = img2img(
    "a cat", image=load_image("tiny/photo.png"), strength=0.7, generator=torch.manual_seed(0), **options
).images
kinds = [type(pipe).__name__, type(img2img).__name__, type(pipe.prior_prior).__name__]
parts = sorted(pipe.components)
