import os

import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
unet = pipe.unet
unet.requires_grad_(False)
unet.add_adapter(LoraConfig(r=4, lora_alpha=4, init_lora_weights="gaussian", target_modules=["to_k", "to_q"]))
trained = [p for p in unet.parameters() if p.requires_grad]
count, width = len(trained), sum(p.numel() for p in trained)
generator = torch.Generator().manual_seed(0)
for p in trained:
    p.data = 0.1 * torch.randn(p.shape, generator=generator)
state = convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
StableDiffusionPipeline.save_lora_weights("my-lora", unet_lora_layers=state)
files, keys = os.listdir("my-lora"), sorted(state)

fresh = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
fresh.load_lora_weights("my-lora", adapter_name="mine")
images = fresh("a cat", num_inference_steps=2, generator=torch.manual_seed(0), output_type="np").images
active = fresh.get_active_adapters()
