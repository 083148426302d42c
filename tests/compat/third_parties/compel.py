import torch
from compel import Compel, ReturnedEmbeddingsType
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None)
compel = Compel(tokenizer=pipe.tokenizer, text_encoder=pipe.text_encoder, truncate_long_prompts=False)
prompts = ["a hello++ cat", "(a cat and a hello)1.3, ('a cat', 'hello').blend(0.7, 0.3)"]
embeds = [compel(prompt) for prompt in prompts]
padded = compel.pad_conditioning_tensors_to_same_length([compel("a cat " * 50), compel("")])
images = pipe(
    prompt_embeds=compel(["a cat-- hello", "hello cat"]),
    negative_prompt_embeds=compel(["", "a blurry-- cat"]),
    num_inference_steps=3,
    generator=torch.Generator().manual_seed(0),
    output_type="np",
).images

pipe = StableDiffusionXLPipeline.from_pretrained("tiny/stable-diffusion-xl")
compel = Compel(
    tokenizer=[pipe.tokenizer, pipe.tokenizer_2],
    text_encoder=[pipe.text_encoder, pipe.text_encoder_2],
    returned_embeddings_type=ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED,
    requires_pooled=[False, True],
)
told, pooled = compel("a hello1.4 cat")
negative, negative_pooled = compel("a blurry cat")
large = pipe(
    prompt_embeds=told,
    pooled_prompt_embeds=pooled,
    negative_prompt_embeds=negative,
    negative_pooled_prompt_embeds=negative_pooled,
    num_inference_steps=2,
    generator=torch.Generator().manual_seed(0),
    output_type="np",
).images
