import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    KDPM2DiscreteScheduler,
    LCMScheduler,
    StableDiffusionPipeline,
    UniPCMultistepScheduler,
)

SAMPLERS = {
    "DPM++ 2M Karras": (DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    "DPM++ 2M SDE Karras": (
        DPMSolverMultistepScheduler,
        {"use_karras_sigmas": True, "algorithm_type": "sde-dpmsolver++"},
    ),
    "DPM2 Karras": (KDPM2DiscreteScheduler, {"use_karras_sigmas": True}),
    "Euler a": (EulerAncestralDiscreteScheduler, {"timestep_spacing": "trailing"}),
    "UniPC": (UniPCMultistepScheduler, {"solver_order": 3, "disable_corrector": [0]}),
    "LCM": (LCMScheduler, {"original_inference_steps": 40}),
}
pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None)
common_config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
images, grids = {}, {}
for name, (kind, options) in SAMPLERS.items():
    pipe.scheduler = kind.from_config(common_config, **options)
    image = pipe("a cat", num_inference_steps=4, generator=torch.manual_seed(7), output_type="np").images[0]
    pipe.scheduler.set_timesteps(6)
    images[name], grids[name] = image, pipe.scheduler.timesteps
