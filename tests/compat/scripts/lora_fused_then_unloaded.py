# differs: unloading takes a fused LoRA out of the weights; the peer leaves it in them.
import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.load_lora_weights("tiny/loras", weight_name="style.safetensors")
pipe.fuse_lora(lora_scale=1.0)
pipe.unload_lora_weights()
images = pipe("a cat", num_inference_steps=3, generator=torch.manual_seed(0), output_type="np").images
