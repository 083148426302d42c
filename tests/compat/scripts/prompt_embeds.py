import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
text_inputs = pipe.tokenizer(
    ["a cat", "hello hello"],
    padding="max_length",
    max_length=pipe.tokenizer.model_max_length,
    truncation=True,
    return_tensors="pt",
)
with torch.no_grad():
    embeds = pipe.text_encoder(text_inputs.input_ids)[0]
mixed = 0.5 * embeds[:1] + 0.5 * embeds[1:]
negative = torch.zeros_like(mixed)
images = pipe(
    prompt_embeds=mixed,
    negative_prompt_embeds=negative,
    num_inference_steps=3,
    generator=torch.manual_seed(0),
    output_type="np",
).images
ids = text_inputs.input_ids
