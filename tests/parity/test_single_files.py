"""The peer reads the single files that we write, and the pictures are the same."""

from __future__ import annotations

import diffusers
import numpy as np
import pytest
import torch

import calotype
from tests.tiny import tiny_inputs, tiny_pipeline, tiny_unet

KINDS = ["StableDiffusionPipeline", "StableDiffusionInpaintPipeline"]


@pytest.mark.parametrize("kind", KINDS)
def test_both_make_the_same_picture_of_a_single_file(tmp_path, kind):
    unet = {"unet": tiny_unet(in_channels=9)} if "Inpaint" in kind else {}
    pipe = tiny_pipeline(getattr(calotype, kind), **unet)
    pipe.save_pretrained(tmp_path / "folder")
    pipe.save_single_file(tmp_path / "a.safetensors")
    pictures = []
    for library in (diffusers, calotype):
        read = getattr(library, kind).from_single_file
        one = read(str(tmp_path / "a.safetensors"), config=str(tmp_path / "folder"), local_files_only=True)
        one.set_progress_bar_config(disable=True)
        given = tiny_inputs(kind) | dict(prompt="hello cat", num_inference_steps=2, output_type="np")
        pictures.append(one(**given, generator=torch.Generator().manual_seed(0)).images)
    assert np.abs(pictures[0] - pictures[1]).max() <= 1e-4
