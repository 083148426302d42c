import torch
from diffusers import DDIMScheduler, DiffusionPipeline, ImagePipelineOutput, UNet2DConditionModel


class Unprompted(DiffusionPipeline):
    def __init__(self, unet, scheduler):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)

    @torch.no_grad()
    def __call__(self, generator=None, num_inference_steps=4):
        image = torch.randn((1, 4, 16, 16), generator=generator, device=self.device)
        self.scheduler.set_timesteps(num_inference_steps)
        for t in self.progress_bar(self.scheduler.timesteps):
            noise = self.unet(image, t, torch.zeros(1, 3, 32)).sample
            image = self.scheduler.step(noise, t, image, generator=generator).prev_sample
        return ImagePipelineOutput(images=(image / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy())


unet = UNet2DConditionModel.from_pretrained("tiny/stable-diffusion", subfolder="unet")
pipe = Unprompted(unet, DDIMScheduler(beta_schedule="squaredcos_cap_v2"))
images = pipe(generator=torch.manual_seed(0)).images
names, place = sorted(pipe.components), str(pipe.device)
