import torch
from diffusers import AutoPipelineForText2Image

pipe = AutoPipelineForText2Image.from_pretrained("tiny/stable-diffusion", torch_dtype=torch.float32)
for name in ("style", "toy"):
    pipe.load_lora_weights("tiny/loras", weight_name=f"{name}.safetensors", adapter_name=name)
loaded, active = pipe.get_list_adapters(), pipe.get_active_adapters()
generator = torch.Generator()


def draw(prompt="a cat", **kwargs):
    return pipe(prompt, generator=generator.manual_seed(3), num_inference_steps=2, output_type="np", **kwargs).images


pipe.set_adapters(["toy"], adapter_weights=[{"unet": {"down": 0.5, "up": {"block_0": 0.2}}, "text_encoder": 0.9}])
by_block = draw()
pipe.set_adapters("style", 0.3)
weak = draw()
pipe.delete_adapters(["style"])
left = pipe.get_list_adapters()
state = pipe.lora_state_dict("tiny/loras", weight_name="style.safetensors")
pipe.unload_lora_weights()
plain = draw()
