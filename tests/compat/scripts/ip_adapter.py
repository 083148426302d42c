import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import load_image

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.load_ip_adapter("tiny/ip-adapter", subfolder="models", weight_name="ip-adapter.safetensors")
pipe.set_ip_adapter_scale(0.6)
options = dict(num_inference_steps=3, output_type="np")
photo = load_image("tiny/photo.png")
images = pipe("a cat", ip_adapter_image=photo, generator=torch.manual_seed(0), **options).images
embeds = pipe.prepare_ip_adapter_image_embeds(photo, None, "cpu", 1, True)[0]
again = pipe("a cat", ip_adapter_image_embeds=[embeds], generator=torch.manual_seed(0), **options).images
