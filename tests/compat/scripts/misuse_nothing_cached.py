from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("somebody/never-downloaded", local_files_only=True)
image = pipe("a cat").images[0]
