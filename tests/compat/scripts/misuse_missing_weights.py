import os
import shutil

from diffusers import StableDiffusionPipeline

shutil.copytree("tiny/stable-diffusion", "no-weights")
os.remove("no-weights/unet/diffusion_pytorch_model.safetensors")
pipe = StableDiffusionPipeline.from_pretrained("no-weights")
