# The way up of a UNet told anew, block by block, as packages do that weigh what it looks back at.
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.unets.unet_2d_blocks import CrossAttnUpBlock2D, UpBlock2D


def louder(block):
    def forward(hidden_states, res_hidden_states_tuple, temb=None, upsample_size=None, **kwargs):
        attentions = getattr(block, "attentions", [])
        for i, resnet in enumerate(block.resnets):
            skip, res_hidden_states_tuple = res_hidden_states_tuple[-1], res_hidden_states_tuple[:-1]
            hidden_states = resnet(torch.cat([1.2 * hidden_states, 0.9 * skip], dim=1), temb)
            if len(attentions):
                words = kwargs["encoder_hidden_states"]
                hidden_states = attentions[i](hidden_states, encoder_hidden_states=words, return_dict=False)[0]
        for upsampler in block.upsamplers or []:
            hidden_states = upsampler(hidden_states, upsample_size)
        return hidden_states

    return forward


unet = UNet2DConditionModel.from_pretrained("tiny/stable-diffusion", subfolder="unet")
kinds = [type(block).__name__ for block in [*unet.down_blocks, unet.mid_block, *unet.up_blocks]]
attending = [getattr(block, "has_cross_attention", False) for block in [*unet.down_blocks, *unet.up_blocks]]
for block in unet.up_blocks:
    assert isinstance(block, (CrossAttnUpBlock2D, UpBlock2D))
    block.forward = louder(block)
seen = []
for block in unet.down_blocks:
    block.register_forward_hook(lambda block, args, output: seen.append([len(args), len(output[1])]))
with torch.no_grad():
    sample = unet(torch.ones(1, 4, 16, 16), torch.tensor(20), torch.ones(1, 7, 32)).sample
    odd = unet(torch.ones(1, 4, 15, 17), torch.tensor(20), torch.ones(1, 7, 32)).sample
