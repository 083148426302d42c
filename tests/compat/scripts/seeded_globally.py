import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from diffusers.training_utils import set_seed
from diffusers.utils.torch_utils import randn_tensor

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
torch.manual_seed(5)
images = pipe("a cat", num_inference_steps=2, output_type="np").images
set_seed(5)
again, drawn = pipe("a cat", num_inference_steps=2, output_type="np").images, np.random.rand()
torch.manual_seed(5)
noise = randn_tensor((2, 3), device=torch.device("cpu"), dtype=torch.float64)
several = randn_tensor((2, 3), generator=[torch.Generator().manual_seed(i) for i in range(2)])
