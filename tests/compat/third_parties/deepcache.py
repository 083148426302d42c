import torch
from DeepCache import DeepCacheSDHelper
from diffusers import StableDiffusionPipeline


def draw():
    generator = torch.Generator().manual_seed(0)
    return pipe("a hello cat", num_inference_steps=6, generator=generator, output_type="np").images


pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None)
plain = draw()
helper = DeepCacheSDHelper(pipe=pipe)
helper.set_params(cache_interval=3, cache_branch_id=0)
helper.enable()
cached = draw()
helper.disable()
restored = draw()
moved = bool(abs(cached - plain).max() > 1e-3)
