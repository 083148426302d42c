import json
import os

import torch
from diffusers import DiffusionPipeline, EulerAncestralDiscreteScheduler, StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None)
pipe.scheduler = EulerAncestralDiscreteScheduler.from_config(pipe.scheduler.config)
pipe.save_pretrained("./my-model")
again = DiffusionPipeline.from_pretrained("./my-model", local_files_only=True)

kind, scheduler = type(again).__name__, type(again.scheduler).__name__
images = again("a cat", num_inference_steps=3, generator=torch.manual_seed(4), output_type="np").images
folders = sorted(name for name in os.listdir("my-model") if os.path.isdir(f"my-model/{name}"))
with open("my-model/model_index.json") as file:
    index = json.load(file)
written = sorted(key for key in index if not key.startswith("_"))
unet = index["unet"]
