import tomesd
import torch
from diffusers import StableDiffusionPipeline


def draw():
    generator = torch.Generator().manual_seed(0)
    return pipe("a hello cat", num_inference_steps=3, generator=generator, output_type="np").images


pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None)
plain = draw()
tomesd.apply_patch(pipe, ratio=0.5, max_downsample=2, use_rand=False, merge_crossattn=True, merge_mlp=True)
merged = draw()
tomesd.remove_patch(pipe)
restored = draw()
moved = bool(abs(merged - plain).max() > 1e-3)
