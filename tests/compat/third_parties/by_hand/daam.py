import daam
import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None)
with daam.trace(pipe) as trace:
    image = pipe("a hello cat", num_inference_steps=3, generator=torch.Generator().manual_seed(0)).images[0]
    heat = trace.compute_global_heat_map(factors=[12])
    word = heat.compute_word_heat_map("cat").heatmap
maps, places = heat.heat_maps, trace.layer_names
