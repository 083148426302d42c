import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
before = len(pipe.tokenizer)
pipe.load_textual_inversion("tiny/words", weight_name="toy.safetensors", token="<toy>")
images = pipe("a <toy> cat", num_inference_steps=3, generator=torch.manual_seed(0), output_type="np").images
token = pipe.tokenizer.convert_tokens_to_ids("<toy>")
added = len(pipe.tokenizer) - before
prompt = pipe.maybe_convert_prompt("a <toy>", pipe.tokenizer)
pipe.unload_textual_inversion()
after = len(pipe.tokenizer)
