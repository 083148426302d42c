import torch
from diffusers import StableDiffusionPipeline
from diffusers.image_processor import IPAdapterMaskProcessor
from diffusers.utils import load_image

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.load_ip_adapter(
    "tiny/ip-adapter", subfolder=["models"] * 2, weight_name=["ip-adapter.safetensors"] * 2, image_encoder_folder="image_encoder"
)  # fmt: skip
pipe.set_ip_adapter_scale([0.7, {"down": {"block_1": 0.5}}])
photo, mask = load_image("tiny/photo.png"), load_image("tiny/mask.png")
masks = IPAdapterMaskProcessor().preprocess([mask, mask.rotate(90)], height=32, width=32)
images = pipe(
    "a cat",
    ip_adapter_image=[photo, photo.rotate(180)],
    cross_attention_kwargs={"ip_adapter_masks": [masks[:1], masks[1:]]},
    num_inference_steps=2,
    generator=torch.manual_seed(0),
    output_type="np",
).images
pipe.unload_ip_adapter()
plain = pipe("a cat", num_inference_steps=2, generator=torch.manual_seed(0), output_type="np").images
