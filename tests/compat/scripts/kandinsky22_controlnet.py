import numpy as np
import torch
from diffusers import KandinskyV22ControlnetPipeline, KandinskyV22PriorPipeline
from diffusers.utils import load_image


def make_hint(image):
    array = np.array(image.resize((64, 64)))
    return torch.from_numpy(array).float().div(255.0).permute(2, 0, 1).unsqueeze(0)


hint = make_hint(load_image("tiny/photo.png"))
prior = KandinskyV22PriorPipeline.from_pretrained("tiny/kandinsky-2-2-prior")
pipe = KandinskyV22ControlnetPipeline.from_pretrained("tiny/kandinsky-2-2-controlnet")
embeds, zero = prior("a robot", num_inference_steps=2, generator=torch.manual_seed(0), return_dict=False)
image = pipe(
    image_embeds=embeds,
    negative_image_embeds=zero,
    hint=hint,
    num_inference_steps=3,
    generator=torch.Generator().manual_seed(43),
    height=64,
    width=64,
    output_type="np",
).images[0]
