import torch
from diffusers import StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", low_cpu_mem_usage=True)
options = dict(num_inference_steps=2, output_type="np")
images = []
for switch in (
    pipe.enable_attention_slicing,
    pipe.disable_attention_slicing,
    lambda: pipe.unet.set_attn_processor(AttnProcessor()),
    lambda: pipe.unet.set_attn_processor(AttnProcessor2_0()),
    lambda: pipe.unet.to(memory_format=torch.channels_last),
    pipe.fuse_qkv_projections,
    pipe.unfuse_qkv_projections,
    lambda: pipe.enable_attention_slicing("max"),
):
    switch()
    images.append(pipe("a cat", generator=torch.manual_seed(0), **options).images)
