"""What calotype does not have is said when it is used: not before, and with what does the job instead."""

from __future__ import annotations

from tests.compat.children import SHIM, said


def refused(code: str, *words: str) -> None:
    """This code imports well, and its last line is refused in these words."""
    *before, last = code.strip().splitlines()
    lines = [SHIM, *before, "try:", f"    {last}", "except NotImplementedError as error:", "    print(error)"]
    told = said("\n".join(lines))
    assert told and all(word in told for word in words), told


def test_a_pipeline():
    refused(
        "from diffusers import FluxPipeline\nFluxPipeline.from_pretrained('x')",
        "diffusers.FluxPipeline",
        "Stable Diffusion",
    )


def test_a_network_in_a_module_of_its_own():
    refused(
        "from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel\nFluxTransformer2DModel()",
        "diffusers.models.transformers.transformer_flux.FluxTransformer2DModel",
    )


def test_the_nearest_is_named():
    refused("import diffusers\ndiffusers.UNet2DModel(sample_size=8)", "Nearest is UNet2DConditionModel")


def test_a_twin_in_another_framework_names_ours():
    refused(
        "from diffusers import FlaxStableDiffusionInpaintPipeline as Flax\nFlax.from_pretrained('x')",
        "StableDiffusionInpaintPipeline does the same with PyTorch",
    )


def test_a_function():
    line = "from diffusers.training_utils import compute_confidence_aware_loss as loss\nloss(1, 2)"
    refused(line, "compute_confidence_aware_loss", "PyTorch")


def test_a_subclass_can_be_written_and_not_be_made():
    refused("from diffusers import FluxPipeline\nclass Mine(FluxPipeline): pass\nMine()", "diffusers.FluxPipeline")


def test_nothing_is_one_of_them_and_asking_is_no_use():
    said(
        SHIM
        + """
from diffusers import DDIMScheduler, FluxPipeline
assert not isinstance(DDIMScheduler(), FluxPipeline)
assert not hasattr(FluxPipeline, "from_pretrained")
assert "Stable Diffusion" in FluxPipeline.__doc__
"""
    )
