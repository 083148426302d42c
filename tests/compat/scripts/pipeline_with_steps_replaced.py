# A stock pipeline with some of its inner steps replaced: other noise, other words, a stricter check.
import torch
from diffusers import StableDiffusionPipeline


class Replaced(StableDiffusionPipeline):
    def encode_prompt(self, prompt, *args, **kwargs):
        embeds, negative = super().encode_prompt(prompt, *args, **kwargs)
        return 1.1 * embeds, negative

    def prepare_latents(self, *args, **kwargs):
        return super().prepare_latents(*args, **kwargs).flip(-1)

    def check_inputs(self, prompt, *args, **kwargs):
        super().check_inputs(prompt, *args, **kwargs)
        if prompt == "forbidden":
            raise PermissionError(prompt)


pipe = Replaced.from_pretrained("tiny/stable-diffusion")
images = pipe("a cat", num_inference_steps=3, generator=torch.manual_seed(0), output_type="np").images
try:
    pipe("forbidden", num_inference_steps=3)
    refused = False
except PermissionError:
    refused = True
