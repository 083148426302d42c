# differs: a keyword that nothing takes is refused; the peer drops it.
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
image = pipe("a cat", num_inference_steps=2, seed=42, output_type="np").images[0]
