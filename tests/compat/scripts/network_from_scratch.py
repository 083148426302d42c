import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel

torch.manual_seed(0)
unet = UNet2DConditionModel(
    sample_size=8,
    in_channels=4,
    out_channels=4,
    layers_per_block=1,
    block_out_channels=(32, 64),
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    cross_attention_dim=16,
    attention_head_dim=8,
)
torch.manual_seed(0)
for parameter in unet.parameters():
    torch.nn.init.normal_(parameter, std=0.05)
unet.enable_gradient_checkpointing()
unet.train()
sample = unet(torch.ones(2, 4, 8, 8), torch.tensor([3, 7]), torch.ones(2, 4, 16)).sample
sample.mean().backward()
slope = unet.conv_in.weight.grad
count, checkpointing = unet.num_parameters(), unet.is_gradient_checkpointing
controlnet = ControlNetModel.from_unet(unet)
same = torch.equal(controlnet.conv_in.weight, unet.conv_in.weight)
vae = AutoencoderKL(block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2,
                    up_block_types=("UpDecoderBlock2D",) * 2)  # fmt: skip
shapes = [str(list(p.shape)) for _, p in sorted(vae.state_dict().items())]
