import torch
from diffusers import (
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UniPCMultistepScheduler,
)

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
plain = pipe.scheduler.config


def draw(scheduler):
    pipe.scheduler = scheduler
    return pipe("a cat", num_inference_steps=5, generator=torch.manual_seed(0), output_type="np").images


karras = draw(DPMSolverMultistepScheduler.from_config(plain, use_karras_sigmas=True))
sde = draw(DPMSolverMultistepScheduler.from_config(plain, algorithm_type="sde-dpmsolver++"))
unipc = draw(UniPCMultistepScheduler.from_config(plain))
deis = draw(DEISMultistepScheduler.from_config(plain))
