from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel

unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config("tiny/stable-diffusion", subfolder="unet"))
widths, cross = list(unet.config.block_out_channels), unet.config["cross_attention_dim"]
old = DDIMScheduler.from_pretrained("tiny/stable-diffusion", subfolder="scheduler")
new, unused = DPMSolverMultistepScheduler.from_config(old.config, return_unused_kwargs=True)
kept = new.config.beta_schedule
config = {key: value for key, value in sorted(old.config.items()) if not key.startswith("_")}
names, values = list(config), [str(value) for value in config.values()]
