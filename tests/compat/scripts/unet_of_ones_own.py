# A network of one's own kind in a stock pipeline.
import sys
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

sys.path.insert(0, ".")
Path("my_unet.py").write_text("""
from diffusers import UNet2DConditionModel

class QuietUNet(UNet2DConditionModel):
    def forward(self, sample, timestep, encoder_hidden_states, **kwargs):
        out = super().forward(sample, timestep, encoder_hidden_states, **kwargs)
        if not kwargs.get("return_dict", True):
            return tuple(0.9 * each for each in out)
        out.sample = 0.9 * out.sample
        return out
""")
from my_unet import QuietUNet  # noqa: E402

unet = QuietUNet.from_pretrained("tiny/stable-diffusion", subfolder="unet")
pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", unet=unet)
images = pipe("a cat", num_inference_steps=3, generator=torch.manual_seed(0), output_type="np").images
pipe.unet.save_pretrained("quiet")
again = QuietUNet.from_pretrained("quiet")
kinds = [type(pipe.unet).__name__, type(again).__name__, again.load_config("quiet")["_class_name"]]
