import torch
from diffusers.optimization import get_scheduler

optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
get_scheduler("linear", optimizer=optimizer, num_warmup_steps=10)
