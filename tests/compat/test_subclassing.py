"""Code that extends the peer's classes works with ours: ``theirs.txt`` is such code, as users write it."""

from __future__ import annotations

from pathlib import Path

from tests.compat.children import SHIM, said

THEIRS = Path(__file__).with_name("theirs.txt").read_text()
MADE = """
torch.manual_seed(0)
pipe = MyPipeline(unet=Tiny(), scheduler=Straight())
pipe.set_progress_bar_config(disable=True)
def drawn(pipe):
    return pipe(generator=torch.manual_seed(1), output_type="np").images
"""


def test_a_pipeline_of_ones_own_runs_over_networks_and_schedulers_of_ones_own():
    said(
        SHIM
        + THEIRS
        + MADE
        + """
assert drawn(pipe).shape == (1, 8, 8, 3)
assert pipe().images[0].size == (8, 8)
assert set(pipe.components) == {"unet", "scheduler"}
assert pipe.to(torch.float64).unet.dtype == torch.float64
"""
    )


def test_it_is_saved_and_loaded_with_its_parts():
    said(
        SHIM
        + THEIRS
        + MADE
        + """
with tempfile.TemporaryDirectory() as folder:
    pipe.save_pretrained(folder)
    unet = Tiny.from_pretrained(folder, subfolder="unet")
    scheduler = Straight.from_pretrained(folder, subfolder="scheduler")
    again = MyPipeline.from_pretrained(folder, unet=unet, scheduler=scheduler)
again.set_progress_bar_config(disable=True)
assert np.array_equal(drawn(pipe), drawn(again))
assert unet.config.widths == (4, 8)
"""
    )


def test_what_a_constructor_was_given_is_its_config():
    said(
        SHIM
        + THEIRS
        + """
made = Tiny(in_channels=4, widths=(1, 2, 3))
assert made.config.in_channels == 4 and made.config["act"] == "silu"
assert Straight.from_config(Straight(beta_start=0.5).config).config.beta_start == 0.5
assert Straight.from_config(DDIMScheduler(num_train_timesteps=70).config).config.num_train_timesteps == 70
assert DDIMScheduler.from_config(Straight(num_train_timesteps=70).config).config.num_train_timesteps == 70
assert isinstance(made.config, FrozenDict)
"""
    )


def test_an_output_of_ones_own_is_read_by_name_and_by_place():
    said(
        SHIM
        + THEIRS
        + """
made = Tiny()(torch.zeros(1, 3, 8, 8), 0)
assert made.sample is made["sample"] is made[0] is made.to_tuple()[0]
"""
    )


def test_a_processor_of_ones_own_runs_every_attention_layer():
    said(
        SHIM
        + """
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from tests.tiny import tiny_unet

class Counting:
    def __init__(self): self.calls = 0
    def __call__(self, attn: Attention, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None, **kwargs):
        self.calls += 1
        residual = hidden_states
        batch_size, sequence_length, _ = (hidden_states if encoder_hidden_states is None else encoder_hidden_states).shape
        attention_mask = attn.prepare_attention_mask(attention_mask, sequence_length, batch_size)
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))
        if encoder_hidden_states is None:
            encoder_hidden_states = hidden_states
        elif attn.norm_cross:
            encoder_hidden_states = attn.norm_encoder_hidden_states(encoder_hidden_states)
        key = attn.head_to_batch_dim(attn.to_k(encoder_hidden_states))
        value = attn.head_to_batch_dim(attn.to_v(encoder_hidden_states))
        probs = attn.get_attention_scores(query, key, attention_mask)
        hidden_states = attn.batch_to_head_dim(torch.bmm(probs, value))
        hidden_states = attn.to_out[1](attn.to_out[0](hidden_states))
        if attn.residual_connection:
            hidden_states = hidden_states + residual
        return hidden_states / attn.rescale_output_factor

unet = tiny_unet()
told = torch.randn(1, unet.config.in_channels, 8, 8), 3, torch.randn(1, 5, unet.config.cross_attention_dim)
with torch.no_grad():
    expected = unet(*told).sample
    mine = Counting()
    unet.set_attn_processor(mine)
    assert (unet(*told).sample - expected).abs().max() < 1e-5
    assert mine.calls == len(unet.attn_processors) > 0
    unet.set_attn_processor({name: AttnProcessor2_0() for name in unet.attn_processors})
    assert torch.equal(unet(*told).sample, expected)
"""
    )


def test_a_callback_that_ends_guidance_is_heard():
    said(
        SHIM
        + """
from diffusers import StableDiffusionPipeline
from diffusers.callbacks import SDCFGCutoffCallback
from tests.tiny import tiny_stable_diffusion
pipe = tiny_stable_diffusion(StableDiffusionPipeline)
pipe.set_progress_bar_config(disable=True)
rows = []
pipe.unet.register_forward_pre_hook(lambda net, told: rows.append(len(told[0])))
options = dict(height=32, width=32, num_inference_steps=4, output_type="latent")
pipe("a cat", callback_on_step_end=SDCFGCutoffCallback(cutoff_step_ratio=0.5), **options)
assert rows == [2, 2, 2, 1], rows
"""
    )


def test_a_subclass_that_passes_all_on_is_made_from_the_whole_config():
    said(
        SHIM
        + """
from diffusers import DDIMScheduler, DDPMScheduler
class Mine(DDPMScheduler):
    def __init__(self, strength=1, **kwargs):
        super().__init__(**kwargs)
        self.strength = strength
first = DDIMScheduler(beta_schedule="scaled_linear", steps_offset=1, clip_sample=False)
mine, plain = (kind.from_config(first.config) for kind in (Mine, DDPMScheduler))
assert (mine.betas == first.betas).all() and mine.strength == 1
for scheduler in (mine, plain):
    scheduler.set_timesteps(5)
assert mine.timesteps.tolist() == plain.timesteps.tolist() == [801, 601, 401, 201, 1]
assert Mine.from_config(first.config, strength=2).strength == 2
"""
    )
