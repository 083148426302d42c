# A stock pipeline with one step of one's own: latents are mirrored before they are decoded.
import torch
from diffusers import StableDiffusionPipeline


class Mirrored(StableDiffusionPipeline):
    @torch.no_grad()
    def __call__(self, *args, **kwargs):
        kwargs["output_type"] = "latent"
        latents = super().__call__(*args, **kwargs).images
        decoded = self.vae.decode(latents.flip(-1) / self.vae.config.scaling_factor, return_dict=False)[0]
        return self.image_processor.postprocess(decoded, output_type="np")


pipe = Mirrored.from_pretrained("tiny/stable-diffusion")
images = pipe("a cat", num_inference_steps=3, generator=torch.manual_seed(0))
kind = type(pipe).__name__
