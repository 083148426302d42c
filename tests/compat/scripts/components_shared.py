import torch
from diffusers import DiffusionPipeline, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from diffusers.utils import load_image

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", torch_dtype=torch.float16)
dtypes = [str(pipe.dtype), str(pipe.unet.dtype), str(pipe.text_encoder.dtype)]
pipe = pipe.to(torch.float32)
dtypes += [str(pipe.vae.dtype), str(pipe.to("cpu").device)]
img2img = StableDiffusionImg2ImgPipeline(**pipe.components)
shared = [getattr(pipe, name) is part for name, part in img2img.components.items() if name != "scheduler"]
images = img2img(
    "a cat", image=load_image("tiny/photo.png"), num_inference_steps=3, generator=torch.manual_seed(0), output_type="np"
).images
double = DiffusionPipeline.from_pretrained("tiny/stable-diffusion").to("cpu", torch.float64)
dtypes.append(str(double.unet.dtype))
scaling, factor = pipe.vae.config.scaling_factor, pipe.vae_scale_factor
