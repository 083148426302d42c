import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.load_lora_weights("tiny/loras", weight_name="style.safetensors")


def draw(**options):
    return pipe("a cat", num_inference_steps=3, generator=torch.manual_seed(0), output_type="np", **options).images


full = draw()
half = draw(cross_attention_kwargs={"scale": 0.5})
pipe.unload_lora_weights()
without = draw()
