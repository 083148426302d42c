import torch
from diffusers import StableDiffusionXLPipeline

pipe = StableDiffusionXLPipeline.from_pretrained("tiny/stable-diffusion-xl")
images = pipe(
    prompt="a cat",
    prompt_2="hello",
    negative_prompt="blurry",
    original_size=(64, 64),
    crops_coords_top_left=(4, 0),
    num_inference_steps=4,
    generator=torch.manual_seed(0),
    output_type="np",
).images
embeds, negative, pooled, negative_pooled = pipe.encode_prompt("a cat", device="cpu")
again = pipe(
    prompt_embeds=embeds,
    negative_prompt_embeds=negative,
    pooled_prompt_embeds=pooled,
    negative_pooled_prompt_embeds=negative_pooled,
    num_inference_steps=2,
    generator=torch.manual_seed(0),
    output_type="np",
).images
