import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
generator = [torch.Generator(device="cpu").manual_seed(i) for i in range(3)]
images = pipe(3 * ["a cat"], generator=generator, num_inference_steps=3, output_type="np").images

alone = pipe("a cat", generator=torch.Generator().manual_seed(1), num_inference_steps=3, output_type="np").images
difference = float(abs(images[1] - alone[0]).max() < 1e-4)
