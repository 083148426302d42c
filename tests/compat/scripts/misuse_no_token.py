from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
pipe.load_textual_inversion("tiny/words", weight_name="toy.safetensors", token="<toy>")
pipe.load_textual_inversion("tiny/words", weight_name="toy.safetensors", token="<toy>")
