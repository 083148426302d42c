import torch
from diffusers import StableDiffusionXLPipeline

pipe = StableDiffusionXLPipeline.from_pretrained("tiny/stable-diffusion-xl")
kept = {}


def look(pipe, step, timestep, callback_kwargs):
    for name, tensor in callback_kwargs.items():
        kept[f"{step} {name}"] = tensor.clone()
    if step == 1:
        pipe._guidance_scale = 1.0
        for name in ("prompt_embeds", "add_text_embeds", "add_time_ids"):
            callback_kwargs[name] = callback_kwargs[name].chunk(2)[1]
    return callback_kwargs


images = pipe(
    "a cat",
    num_inference_steps=3,
    generator=torch.manual_seed(0),
    callback_on_step_end=look,
    callback_on_step_end_tensor_inputs=["latents", "prompt_embeds", "add_text_embeds", "add_time_ids"],
    output_type="np",
).images
names = sorted(pipe._callback_tensor_inputs)
