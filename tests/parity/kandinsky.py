"""Pairs of Kandinsky pipelines: the peer's, tiny and random, and ours, loaded from what the peer saved."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from diffusers.pipelines.kandinsky.text_encoder import MCLIPConfig, MultilingualCLIP

import calotype
from tests.tiny import TINY_VOCAB, tiny_tokenizer_folder

WIDTH = 32  # of the embeds
PRIOR = {"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 2, "embedding_dim": WIDTH}
CLIP = {"hidden_size": 32, "intermediate_size": 37, "projection_dim": WIDTH, "num_hidden_layers": 2}
UNET: dict[str, Any] = {
    "sample_size": 8,
    "out_channels": 8,
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "attention_head_dim": 8,
    "cross_attention_dim": 16,
    "resnet_time_scale_shift": "scale_shift",
    "encoder_hid_dim": WIDTH,
    "encoder_hid_dim_type": "image_proj",
    "addition_embed_type": "image",
}
WORDED = {
    "encoder_hid_dim_type": "text_image_proj",
    "addition_embed_type": "text_image",
    "cross_attention_dim": WIDTH,  # of the words as a whole, and of the embeds
}
MASKED, HINTED = {"in_channels": 9}, {"in_channels": 8, "addition_embed_type": "image_hint"}


def peer_prior(**parts: Any) -> dict[str, Any]:
    """The parts of a prior of the peer."""
    torch.manual_seed(0)
    prior = diffusers.PriorTransformer(**PRIOR).eval()
    with torch.no_grad():
        prior.clip_std.copy_(torch.rand(1, WIDTH) + 0.5)
        prior.clip_mean.copy_(torch.randn(1, WIDTH))
    return parts | {
        "prior": prior,
        "image_encoder": transformers.CLIPVisionModelWithProjection(
            transformers.CLIPVisionConfig(**CLIP, num_attention_heads=4, image_size=30, patch_size=10)
        ).eval(),
        "scheduler": diffusers.UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", clip_sample_range=5.0
        ),
        "image_processor": transformers.CLIPImageProcessor(
            size={"shortest_edge": 30}, crop_size={"height": 30, "width": 30}
        ),
    }


def peer_texts(folder: Path) -> dict[str, Any]:
    """The text encoder of a prior and its tokenizer."""
    tokenizer = transformers.CLIPTokenizer.from_pretrained(tiny_tokenizer_folder(folder))
    ends = {"bos_token_id": len(tokenizer) - 2, "eos_token_id": len(tokenizer) - 1}
    config = transformers.CLIPTextConfig(**CLIP, num_attention_heads=4, vocab_size=len(tokenizer), **ends)
    torch.manual_seed(1)
    return {"text_encoder": transformers.CLIPTextModelWithProjection(config).eval(), "tokenizer": tokenizer}


def peer_movq(levels: int) -> Any:
    """A MoVQ that halves so many times and once; its pictures stay within a few units."""
    torch.manual_seed(2)
    made = diffusers.VQModel(
        block_out_channels=(32,) * (levels + 1),
        down_block_types=("DownEncoderBlock2D",) * (levels + 1),
        up_block_types=("UpDecoderBlock2D",) * (levels + 1),
        latent_channels=4,
        num_vq_embeddings=12,
        vq_embed_dim=4,
        norm_type="spatial",
    ).eval()
    with torch.no_grad():
        made.decoder.conv_out.weight.mul_(0.05)
    return made


def peer_unet(**changes: Any) -> Any:
    torch.manual_seed(3)
    return diffusers.UNet2DConditionModel(**{**UNET, **changes}).eval()


def peer_decoder(levels: int = 1, **unet: Any) -> dict[str, Any]:
    """The parts of a decoder of the peer, which all three tasks share but for the UNet's first layer."""
    scheduler = diffusers.DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, variance_type="learned_range", clip_sample=False
    )
    return {"unet": peer_unet(**unet), "scheduler": scheduler, "movq": peer_movq(levels)}


def peer_words() -> dict[str, Any]:
    """The multilingual encoder of 2.1 and its tokenizer, and the scheduler that its decoders come with."""
    torch.manual_seed(4)
    sizes = {"hidden_size": WIDTH, "intermediate_size": 37, "num_attention_heads": 4, "num_hidden_layers": 2}
    config = MCLIPConfig(
        transformerDimensions=WIDTH, numDims=WIDTH, vocab_size=len(TINY_VOCAB), max_position_embeddings=90, **sizes
    )
    return {
        "text_encoder": MultilingualCLIP(config).eval(),
        "tokenizer": transformers.XLMRobertaTokenizer(vocab=TINY_VOCAB, model_max_length=77),
        "scheduler": diffusers.DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
    }


def save_peer(folder: Path, kind: str) -> Path:
    """Save the peer's pipeline of this class."""
    decoder = {} if "Prior" in kind else peer_decoder(**SHAPES.get(kind, {}))
    if decoder and "V22" not in kind:
        wide = MASKED if "Inpaint" in kind else {}
        decoder |= peer_words() | {"unet": peer_unet(**WORDED, **wide)}
    prior = peer_prior(**peer_texts(folder / "vocabulary")) if "Prior" in kind or "Combined" in kind else {}
    prefix = "prior_" if "Combined" in kind else ""
    pipe = getattr(diffusers, kind)(**decoder, **{f"{prefix}{name}": part for name, part in prior.items()})
    pipe.save_pretrained(folder / "saved")
    return folder / "saved"


SHAPES: dict[str, dict[str, Any]] = {
    "KandinskyV22InpaintPipeline": MASKED,
    "KandinskyV22InpaintCombinedPipeline": MASKED,
    "KandinskyV22ControlnetPipeline": HINTED | {"levels": 3},
    "KandinskyV22ControlnetImg2ImgPipeline": HINTED | {"levels": 3},
}


def pair(folder: Path, kind: str) -> list[Any]:
    """The peer's pipeline of this class from a folder, and ours."""
    pipes = [getattr(library, kind).from_pretrained(folder) for library in (diffusers, calotype)]
    for pipe in pipes:
        pipe.set_progress_bar_config(disable=True)
    return pipes


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@cache
def embeds(batch: int = 1) -> dict[str, torch.Tensor]:
    """Embeds to steer towards and away from."""
    return {"image_embeds": drawn(batch, WIDTH), "negative_image_embeds": drawn(batch, WIDTH, seed=1)}


def told(result: Any) -> list[Any]:
    """The arrays in what a pipeline returned."""
    values = result if isinstance(result, tuple) else result.values()
    return [np.asarray(value.detach() if hasattr(value, "detach") else value, dtype=np.float64) for value in values]


def compare(calls: Any, seeds: int | tuple[int, ...] = 0, tolerance: float = 1e-4, **inputs: Any) -> None:
    """Make both calls with equal generators: what they return differs by no more than the tolerance."""
    results = []
    for call in calls:
        sources = [torch.Generator().manual_seed(seed) for seed in (seeds if isinstance(seeds, tuple) else (seeds,))]
        results.append(told(call(generator=sources if isinstance(seeds, tuple) else sources[0], **inputs)))
    theirs, ours = results
    assert len(theirs) == len(ours) and theirs[0].std() > 0.01
    for expected, got in zip(theirs, ours, strict=True):
        assert expected.shape == got.shape
        assert np.abs(expected - got).max() <= tolerance
