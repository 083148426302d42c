# The call of a stock pipeline written anew from its inner steps, as community pipelines are.
import torch
from diffusers import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion import StableDiffusionPipelineOutput
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import retrieve_timesteps


class Anew(StableDiffusionPipeline):
    @torch.no_grad()
    def __call__(self, prompt, height=None, width=None, num_inference_steps=4, guidance_scale=7.5, generator=None):
        height = height or self.unet.config.sample_size * self.vae_scale_factor
        width = width or self.unet.config.sample_size * self.vae_scale_factor
        self.check_inputs(prompt, height, width, None)
        self._guidance_scale = guidance_scale
        device = self._execution_device
        embeds, negative = self.encode_prompt(prompt, device, 1, self.do_classifier_free_guidance)
        embeds = torch.cat([negative, embeds])
        timesteps, num_inference_steps = retrieve_timesteps(self.scheduler, num_inference_steps, device)
        channels = self.unet.config.in_channels
        latents = self.prepare_latents(1, channels, height, width, embeds.dtype, device, generator, None)
        extra_step_kwargs = self.prepare_extra_step_kwargs(generator, 0.0)
        with self.progress_bar(total=num_inference_steps) as progress_bar:
            for t in timesteps:
                pair = self.scheduler.scale_model_input(torch.cat([latents] * 2), t)
                noise_pred = self.unet(pair, t, encoder_hidden_states=embeds, return_dict=False)[0]
                uncond, text = noise_pred.chunk(2)
                noise_pred = uncond + self.guidance_scale * (text - uncond)
                latents = self.scheduler.step(noise_pred, t, latents, **extra_step_kwargs, return_dict=False)[0]
                progress_bar.update()
        image = self.vae.decode(latents / self.vae.config.scaling_factor, return_dict=False)[0]
        image, has_nsfw_concept = self.run_safety_checker(image, device, embeds.dtype)
        image = self.image_processor.postprocess(image, output_type="np", do_denormalize=[True])
        self.maybe_free_model_hooks()
        return StableDiffusionPipelineOutput(images=image, nsfw_content_detected=has_nsfw_concept)


pipe = Anew.from_pretrained("tiny/stable-diffusion")
images = pipe("a cat", generator=torch.manual_seed(0)).images
