import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
tokens = pipe.tokenizer.tokenize("a cat and hello")
ids = pipe.tokenizer("a cat", return_tensors="pt").input_ids
text, count = pipe.tokenizer.decode(ids[0]), pipe.tokenizer.model_max_length
full = pipe.text_encoder(ids, output_hidden_states=True)
last, layers = full.last_hidden_state, len(full.hidden_states)
width, place = pipe.text_encoder.config.hidden_size, str(pipe.text_encoder.device)
chunks = [pipe.encode_prompt(p, pipe.device, 1, False)[0] for p in ("a cat", "hello")]
long = torch.cat(chunks, dim=1)
images = pipe(
    prompt_embeds=long,
    negative_prompt_embeds=torch.cat([pipe.encode_prompt("", pipe.device, 1, False)[0]] * 2, dim=1),
    num_inference_steps=2,
    generator=torch.manual_seed(0),
    output_type="np",
).images
