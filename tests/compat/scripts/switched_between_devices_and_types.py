import gc

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel

device = "cuda" if torch.cuda.is_available() else "cpu"
dtype = torch.float16 if device == "cuda" else torch.float32
unet = UNet2DConditionModel.from_pretrained("tiny/stable-diffusion/unet", torch_dtype=dtype).to(device)
pipe = StableDiffusionPipeline.from_pretrained(
    "tiny/stable-diffusion", unet=unet, torch_dtype=dtype, variant=None, use_safetensors=True, local_files_only=True
).to(device)
pipe.set_progress_bar_config(leave=False, disable=True)
with torch.inference_mode(), torch.autocast("cpu", enabled=False):
    images = pipe("a cat", num_inference_steps=2, generator=torch.Generator(device).manual_seed(0), output_type="np")
images = images.images
training = [pipe.unet.training, pipe.vae.training, pipe.text_encoder.training]
del pipe
gc.collect()
