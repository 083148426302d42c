import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.load_lora_weights("tiny/loras", weight_name="style.safetensors", adapter_name="style")
pipe.load_lora_weights("tiny/loras", weight_name="toy.safetensors", adapter_name="toy")


def draw():
    return pipe("a cat", num_inference_steps=3, generator=torch.manual_seed(0), output_type="np").images


pipe.set_adapters(["style", "toy"], adapter_weights=[0.7, 0.4])
both, active = draw(), pipe.get_active_adapters()
pipe.set_adapters("toy")
toy = draw()
pipe.disable_lora()
plain = draw()
pipe.enable_lora()
pipe.delete_adapters("toy")
held = sorted({name for names in pipe.get_list_adapters().values() for name in names})
