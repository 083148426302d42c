import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion")
features, maps = {}, []
pipe.unet.mid_block.register_forward_hook(lambda layer, told, made: features.setdefault("mid", []).append(made))
pipe.unet.up_blocks[0].resnets[0].register_forward_hook(
    lambda layer, told, made: features.setdefault("up", []).append(made)
)
attention = pipe.unet.down_blocks[1].attentions[0].transformer_blocks[0].attn2
attention.to_q.register_forward_hook(lambda layer, told, made: maps.append(made))
image = pipe("a cat", num_inference_steps=2, generator=torch.manual_seed(0), output_type="np").images[0]
heads, count = attention.heads, len(pipe.unet.attn_processors)
keys = sorted(pipe.unet.state_dict())
time = pipe.unet.time_embedding(pipe.unet.time_proj(torch.tensor([5])))
