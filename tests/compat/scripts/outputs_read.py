import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
out = pipe("a cat", num_inference_steps=2, generator=torch.manual_seed(0), output_type="np")
by_name, by_place, by_attribute = out["images"], out[0], out.images
names, whole, length = list(out.keys()), out.to_tuple()[0], len(out)
there, missing = "images" in out, "latents" in out
pairs = [name for name, _ in out.items()]
got, fallback = out.get("images"), out.get("nothing", "fallback")
(unpacked,) = pipe("a cat", num_inference_steps=2, generator=torch.manual_seed(0), output_type="np").to_tuple()
images, flagged = pipe(
    "a cat", num_inference_steps=2, generator=torch.manual_seed(0), output_type="np", return_dict=False
)
nothing = flagged is None
vae: AutoencoderKL = pipe.vae
with torch.no_grad():
    sample = vae(torch.zeros(1, 3, 16, 16))["sample"]
scheduler = DDIMScheduler()
scheduler.set_timesteps(4)
stepped = scheduler.step(torch.ones(1, 1, 2, 2), scheduler.timesteps[0], torch.zeros(1, 1, 2, 2))
fields = list(stepped.keys())
out.images = np.zeros(3)
changed = out["images"]
