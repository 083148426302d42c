import torch
from diffusers import DDPMScheduler, LCMScheduler, PNDMScheduler, StableDiffusionPipeline
from diffusers.schedulers import KarrasDiffusionSchedulers

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
config = dict(pipe.scheduler.config)
images = []
for scheduler in (
    PNDMScheduler.from_config(config, skip_prk_steps=True),
    DDPMScheduler.from_config(config, variance_type="fixed_small"),
    LCMScheduler.from_config(config),
):
    pipe.scheduler = scheduler
    images.append(pipe("a cat", num_inference_steps=4, generator=torch.manual_seed(2), output_type="np").images)
compatible = sorted(
    {kind.__name__ for kind in pipe.scheduler.compatibles} & {k.name for k in KarrasDiffusionSchedulers}
)
