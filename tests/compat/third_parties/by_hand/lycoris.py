import torch
from diffusers import StableDiffusionPipeline
from lycoris import LycorisNetwork, create_lycoris


def draw():
    generator = torch.Generator().manual_seed(0)
    return pipe("a hello cat", num_inference_steps=3, generator=generator, output_type="np").images


pipe = StableDiffusionPipeline.from_pretrained("tiny/stable-diffusion", safety_checker=None)
LycorisNetwork.apply_preset({"target_module": ["Transformer2DModel", "ResnetBlock2D"]})
network = create_lycoris(pipe.unet, 1.0, linear_dim=4, linear_alpha=2, algo="lokr", factor=4)
network.apply_to()
state = network.state_dict()
places = sorted(state)
generator = torch.Generator().manual_seed(1)
network.load_state_dict({name: torch.randn(state[name].shape, generator=generator) * 0.2 for name in places})
adapted = draw()
network.restore()
restored = draw()
