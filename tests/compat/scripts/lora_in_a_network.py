# differs: pipelines load LoRAs; networks have no load_lora_adapter.
import torch
from diffusers import UNet2DConditionModel

unet = UNet2DConditionModel.from_pretrained("tiny/stable-diffusion", subfolder="unet")
unet.load_lora_adapter("tiny/loras/style.safetensors", prefix="unet", adapter_name="style")
told = torch.ones(1, 4, 16, 16), 10, torch.ones(1, 5, 32)
with torch.no_grad():
    full = unet(*told).sample
    unet.set_adapters(["style"], weights=[0.25])
    weak = unet(*told).sample
    unet.disable_lora()
    off = unet(*told).sample
    unet.enable_lora()
    unet.delete_adapters("style")
    gone = unet(*told).sample
