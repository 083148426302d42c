# Textual inversion by hand: one new word is learnt, the others stay as they are.
import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
tokenizer, text_encoder, unet = pipe.tokenizer, pipe.text_encoder, pipe.unet
scheduler = DDPMScheduler.from_config(pipe.scheduler.config)
added = tokenizer.add_tokens(["<thing>"])
token_id = tokenizer.convert_tokens_to_ids("<thing>")
text_encoder.resize_token_embeddings(len(tokenizer))
words = text_encoder.get_input_embeddings().weight
with torch.no_grad():
    words[token_id] = words[tokenizer.encode("cat", add_special_tokens=False)[0]].clone()
unet.requires_grad_(False)
before = words.detach().clone()
optimizer = torch.optim.AdamW(text_encoder.get_input_embeddings().parameters(), lr=0.01)
g = torch.Generator().manual_seed(0)
ids = tokenizer(
    "a <thing>", padding="max_length", truncation=True, max_length=tokenizer.model_max_length, return_tensors="pt"
).input_ids
for _ in range(2):
    noise = torch.randn(1, 4, 16, 16, generator=g)
    t = torch.randint(0, 1000, (1,), generator=g)
    noisy = scheduler.add_noise(torch.ones_like(noise), noise, t)
    states = text_encoder(ids)[0]
    loss = torch.nn.functional.mse_loss(unet(noisy, t, states).sample, noise)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    others = torch.ones(len(tokenizer), dtype=torch.bool)
    others[token_id] = False
    with torch.no_grad():
        text_encoder.get_input_embeddings().weight[others] = before[others]
learnt = text_encoder.get_input_embeddings().weight[token_id]
last, size = loss.item(), text_encoder.get_input_embeddings().num_embeddings
