from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.load_lora_weights("tiny/loras", weight_name="toy.safetensors", adapter_name="toy")
pipe.set_adapters(["toy", "missing"], [1.0, 1.0])
