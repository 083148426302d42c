import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig, get_peft_model, inject_adapter_in_model


def draw():
    generator = torch.Generator().manual_seed(0)
    return pipe("a hello cat", num_inference_steps=3, generator=generator, output_type="np").images


def fill(network):
    generator = torch.Generator().manual_seed(2)
    for name, weight in sorted(network.named_parameters()):
        if "lora" in name:
            weight.data = torch.randn(weight.shape, generator=generator) * 0.2


pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None)
config = LoraConfig(r=4, lora_alpha=8, target_modules=["to_q", "to_k", "to_v", "to_out.0"])
inject_adapter_in_model(config, pipe.unet)
fill(pipe.unet)
injected = draw()

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None)
unet = pipe.unet
wrapped = get_peft_model(pipe.unet, config)
fill(wrapped)
numbers = list(wrapped.get_nb_trainable_parameters())
places = sorted(name for name, weight in wrapped.named_parameters() if weight.requires_grad)
loss = wrapped(torch.ones(1, 4, 16, 16), torch.tensor([20]), encoder_hidden_states=torch.ones(1, 7, 32)).sample.mean()
loss.backward()
gradient = sum(weight.grad.norm() for weight in wrapped.parameters() if weight.grad is not None)
pipe.unet = wrapped.merge_and_unload()
merged = draw()
