from diffusers import DiffusionPipeline, DPMSolverMultistepScheduler

folders = ["checked", "stable-diffusion", "stable-diffusion-xl", "stable-diffusion-xl-refiner"]
folders += ["kandinsky-2-1-prior", "kandinsky-2-2-decoder", "kandinsky-2-2-controlnet"]
kinds, parts = [], []
for folder in folders:
    pipe = DiffusionPipeline.from_pretrained(f"tiny/{folder}")
    kinds.append(type(pipe).__name__)
    parts += sorted(f"{name}: {type(part).__name__}" for name, part in pipe.components.items() if "token" not in name)
scheduler = DPMSolverMultistepScheduler(beta_schedule="scaled_linear", steps_offset=1)
pipe = DiffusionPipeline.from_pretrained("tiny/stable-diffusion", scheduler=scheduler, safety_checker=None)
same, kind = pipe.scheduler is scheduler, type(pipe.scheduler).__name__
parts = [name for name in parts if "CLIPImageProcessor" not in name]
