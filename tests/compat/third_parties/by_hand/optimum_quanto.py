import torch
from diffusers import StableDiffusionPipeline
from optimum.quanto import freeze, qint8, quantization_map, quantize


def draw():
    generator = torch.Generator().manual_seed(0)
    return pipe("a hello cat", num_inference_steps=3, generator=generator, output_type="np").images


pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None)
plain = draw()
quantize(pipe.unet, weights=qint8, exclude="conv_out")
places = sorted(quantization_map(pipe.unet))
freeze(pipe.unet)
rounded = draw()
moved = bool(abs(rounded - plain).max() > 1e-5)
