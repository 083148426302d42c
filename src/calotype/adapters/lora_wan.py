"""What LoRAs for Wan call the layers of Helios, whose transformer is Wan's."""

from __future__ import annotations

import re

WAN = (
    (r"^(blocks\.\d+)\.attn1\.", r"\1.self_attn."),
    (r"^(blocks\.\d+)\.attn2\.", r"\1.cross_attn."),
    (r"_attn\.to_([qkv])$", r"_attn.\1"),
    (r"_attn\.to_out\.0$", "_attn.o"),
    (r"\.ffn\.net\.0\.proj$", ".ffn.0"),
    (r"\.ffn\.net\.2$", ".ffn.2"),
    (r"^condition_embedder\.time_proj$", "time_projection.1"),
    (r"^condition_embedder\.(time|text)_embedder\.linear_1$", r"\1_embedding.0"),
    (r"^condition_embedder\.(time|text)_embedder\.linear_2$", r"\1_embedding.2"),
    (r"^proj_out$", "head.head"),
)
"""From our names to Wan's."""

NORMS = re.compile(r"(^|[._])blocks[._]\d+[._](.+[._]norm_[qk]|norm[123])\.(diff|diff_b|w_norm|b_norm)$")
"""Changes of norms, which some Wan LoRAs carry beside those of layers."""


def wan_name(layer: str) -> str:
    """The name of a layer of Helios in Wan; its own, where Wan has no other."""
    for ours, theirs in WAN:
        layer = re.sub(ours, theirs, layer)
    return layer
