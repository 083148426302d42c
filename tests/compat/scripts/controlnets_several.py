import torch
from diffusers import ControlNetModel, MultiControlNetModel, StableDiffusionControlNetPipeline
from diffusers.utils import load_image

nets = [ControlNetModel.from_pretrained("tiny/controlnet") for _ in range(2)]
pipe = StableDiffusionControlNetPipeline.from_pretrained("tiny/stable-diffusion", controlnet=nets, safety_checker=None)
hints = [load_image("tiny/mask.png"), load_image("tiny/photo.png")]
options = dict(num_inference_steps=3, output_type="np")
images = pipe(
    "a cat",
    image=hints,
    controlnet_conditioning_scale=[1.0, 0.5],
    control_guidance_start=[0.0, 0.4],
    generator=torch.manual_seed(0),
    **options,
).images
guessed = pipe("", image=hints, guess_mode=True, guidance_scale=3.0, generator=torch.manual_seed(0), **options).images
kind, count = type(pipe.controlnet).__name__, len(pipe.controlnet.nets)
wrapped = MultiControlNetModel(nets)
