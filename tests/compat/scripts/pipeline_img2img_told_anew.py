# Image to image from the inner steps: the picture is noised as far as the strength says.
import torch
from diffusers import StableDiffusionImg2ImgPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_img2img import retrieve_timesteps
from diffusers.utils import load_image

pipe = StableDiffusionImg2ImgPipeline.from_pretrained("tiny/stable-diffusion")
pixels = pipe.image_processor.preprocess(load_image("tiny/photo.png"))
generator, device = torch.manual_seed(0), pipe._execution_device
_, steps = retrieve_timesteps(pipe.scheduler, 6, device)
timesteps, steps = pipe.get_timesteps(6, 0.5, device)
latents = pipe.prepare_latents(pixels, timesteps[:1], 1, 1, torch.float32, device, generator)
embeds, negative = pipe.encode_prompt("a cat", device, 1, True)
with torch.no_grad():
    for t in timesteps:
        noise = pipe.unet(torch.cat([latents] * 2), t, torch.cat([negative, embeds])).sample
        uncond, text = noise.chunk(2)
        latents = pipe.scheduler.step(uncond + 5 * (text - uncond), t, latents).prev_sample
    image = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
