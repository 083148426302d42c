import torch
from diffusers import StableDiffusionPipeline


def no_guidance_late(pipe, step_index, timestep, callback_kwargs):
    if step_index == int(pipe.num_timesteps * 0.4):
        callback_kwargs["prompt_embeds"] = callback_kwargs["prompt_embeds"].chunk(2)[-1]
        pipe._guidance_scale = 0.0
    return callback_kwargs


pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
image = pipe(
    prompt="a photo of a cat",
    generator=torch.Generator().manual_seed(1),
    num_inference_steps=5,
    callback_on_step_end=no_guidance_late,
    callback_on_step_end_tensor_inputs=["prompt_embeds"],
    output_type="np",
).images[0]
