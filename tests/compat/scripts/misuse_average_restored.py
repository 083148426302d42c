import torch
from diffusers.training_utils import EMAModel

layer = torch.nn.Linear(2, 2)
ema = EMAModel(layer.parameters())
ema.restore(layer.parameters())
