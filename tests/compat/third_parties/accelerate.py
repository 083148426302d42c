import torch
from accelerate import Accelerator, cpu_offload
from diffusers import DDPMScheduler, StableDiffusionPipeline


def draw():
    generator = torch.Generator().manual_seed(0)
    return pipe("a hello cat", num_inference_steps=3, generator=generator, output_type="np").images


pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None)
accelerator = Accelerator(cpu=True)
optimizer = torch.optim.SGD(pipe.unet.parameters(), lr=0.1)
unet, optimizer = accelerator.prepare(pipe.unet, optimizer)
scheduler = DDPMScheduler.from_config(pipe.scheduler.config)
generator = torch.Generator().manual_seed(3)
latents, noise = (torch.randn(2, 4, 16, 16, generator=generator) for _ in range(2))
losses = []
for _ in range(3):
    with accelerator.accumulate(unet):
        timesteps = torch.tensor([100, 700])
        told = unet(scheduler.add_noise(latents, noise, timesteps), timesteps, torch.ones(2, 7, 32)).sample
        loss = torch.nn.functional.mse_loss(told, noise)
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
pipe.unet = accelerator.unwrap_model(unet)
trained = draw()
cpu_offload(pipe.unet, torch.device("cpu"))
offloaded = draw()
