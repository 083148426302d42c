# A small denoiser written from the public bases, trained a little, saved and loaded.
import torch
from diffusers import ConfigMixin, DDPMPipeline, DDPMScheduler, ModelMixin  # noqa: F401
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps


class Denoiser(ModelMixin, ConfigMixin):
    @register_to_config
    def __init__(self, channels: int = 3, width: int = 16):
        super().__init__()
        self.time = Timesteps(width, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.embed = TimestepEmbedding(width, width)
        self.first = torch.nn.Conv2d(channels, width, 3, padding=1)
        self.last = torch.nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, x, t):
        return self.last(torch.relu(self.first(x) + self.embed(self.time(t))[:, :, None, None]))


torch.manual_seed(0)
net, scheduler = Denoiser(), DDPMScheduler(num_train_timesteps=50)
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
losses = []
for _ in range(4):
    clean, noise = torch.zeros(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
    t = torch.randint(0, 50, (4,))
    loss = (net(scheduler.add_noise(clean, noise, t), t) - noise).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
net.save_pretrained("denoiser")
again = Denoiser.from_pretrained("denoiser")
with torch.no_grad():
    sample = again(torch.ones(1, 3, 8, 8), torch.tensor([7]))
width, count, device = again.config.width, again.num_parameters(only_trainable=True), str(again.device)
