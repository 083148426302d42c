# A pipeline of one's own, whose folder names its class and whose parts are stock ones.
import json

import torch
from diffusers import DDIMScheduler, DiffusionPipeline, ImagePipelineOutput, UNet2DConditionModel


class Unprompted(DiffusionPipeline):
    def __init__(self, unet, scheduler, steps: int = 3):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)
        self.register_to_config(steps=steps)

    @torch.no_grad()
    def __call__(self, generator=None):
        image = torch.randn((1, 4, 16, 16), generator=generator, device=self.device)
        self.scheduler.set_timesteps(self.config.steps)
        for t in self.progress_bar(self.scheduler.timesteps):
            noise = self.unet(image, t, torch.zeros(1, 3, 32)).sample
            image = self.scheduler.step(noise, t, image).prev_sample
        return ImagePipelineOutput(images=image.numpy())


unet = UNet2DConditionModel.from_pretrained("tiny/stable-diffusion", subfolder="unet")
pipe = Unprompted(unet, DDIMScheduler(), steps=4)
pipe.save_pretrained("unprompted")
again = Unprompted.from_pretrained("unprompted")
images, steps = again(generator=torch.manual_seed(0)).images, again.config.steps
with open("unprompted/model_index.json") as file:
    index = json.load(file)
kind, unet_class, kept = index["_class_name"], index["unet"], index["steps"]
