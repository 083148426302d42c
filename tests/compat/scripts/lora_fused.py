# differs: after unfusing, no lora_scale stays behind.
import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.load_lora_weights("tiny/loras", weight_name="toy.safetensors", adapter_name="toy")


def draw():
    return pipe("a cat", num_inference_steps=3, generator=torch.manual_seed(0), output_type="np").images


pipe.fuse_lora(lora_scale=0.6)
fused = draw()
pipe.unfuse_lora()
loose = draw()
