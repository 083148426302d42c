import torch
from diffusers import (
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LMSDiscreteScheduler,
    StableDiffusionPipeline,
)

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
images, names = {}, []
for kind in (
    EulerDiscreteScheduler,
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
    LMSDiscreteScheduler,
    DDIMScheduler,
):
    pipe.scheduler = kind.from_config(pipe.scheduler.config)  # each from the one before
    images[kind.__name__] = pipe(
        "a cat", num_inference_steps=4, generator=torch.manual_seed(0), output_type="np"
    ).images
    names.append(pipe.scheduler.__class__.__name__)
steps_offset, beta_schedule = pipe.scheduler.config.steps_offset, pipe.scheduler.config["beta_schedule"]
