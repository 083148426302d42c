from diffusers import DDIMScheduler

scheduler = DDIMScheduler(timestep_spacing="no-such-spacing")
scheduler.set_timesteps(5)
