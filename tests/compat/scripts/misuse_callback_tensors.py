from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")


def callback(pipe, step, timestep, kwargs):
    return kwargs


pipe("a cat", callback_on_step_end=callback, callback_on_step_end_tensor_inputs=["noise"], num_inference_steps=2)
