import torch
from diffusers import DiffusionPipeline

base = DiffusionPipeline.from_pretrained("tiny/stable-diffusion-xl", use_safetensors=True)
refiner = DiffusionPipeline.from_pretrained(
    "tiny/stable-diffusion-xl-refiner", text_encoder_2=base.text_encoder_2, vae=base.vae
)
n_steps, high_noise_frac = 5, 0.6
image = base(
    prompt="a cat",
    num_inference_steps=n_steps,
    denoising_end=high_noise_frac,
    generator=torch.manual_seed(0),
    output_type="latent",
).images
refined = refiner(
    prompt="a cat",
    num_inference_steps=n_steps,
    denoising_start=high_noise_frac,
    image=image,
    generator=torch.manual_seed(0),
    output_type="np",
).images
again = refiner(
    prompt="a cat",
    image=image[None, 0],
    aesthetic_score=7.0,
    num_inference_steps=4,
    generator=torch.manual_seed(0),
    output_type="np",
).images
kinds = [type(base).__name__, type(refiner).__name__]
