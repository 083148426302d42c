import torch
from diffusers import UNet2DConditionModel
from diffusers.training_utils import EMAModel

unet = UNet2DConditionModel.from_pretrained("tiny/stable-diffusion", subfolder="unet")
ema = EMAModel(
    unet.parameters(),
    decay=0.9999,
    use_ema_warmup=True,
    inv_gamma=1.0,
    power=0.75,
    model_cls=UNet2DConditionModel,
    model_config=unet.config,
)
decays = []
with torch.no_grad():
    for _ in range(4):
        for parameter in unet.parameters():
            parameter.mul_(0.9)
        ema.step(unet.parameters())
        decays.append(ema.cur_decay_value)
ema.save_pretrained("unet_ema")
again = EMAModel.from_pretrained("unet_ema", UNet2DConditionModel)
steps, shadow = again.optimization_step, again.shadow_params[0]
state = ema.state_dict()
names, decay = sorted(state), state["decay"]
other = EMAModel(unet.parameters())
other.load_state_dict(state)
loaded = other.shadow_params[0], other.inv_gamma, other.power, other.use_ema_warmup
other.to(device="cpu", dtype=torch.float64)
kind = str(other.shadow_params[0].dtype)
plain = UNet2DConditionModel.from_pretrained("unet_ema").conv_in.bias
