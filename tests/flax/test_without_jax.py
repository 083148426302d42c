"""JAX is asked for when it is used, and by the name of what brings it."""

from __future__ import annotations

from tests.compat.children import said

REFUSED = """
import sys
sys.modules["jax"] = None
import calotype
calotype.StableDiffusionImg2ImgPipeline
try:
    calotype.FlaxStableDiffusionImg2ImgPipeline
except ImportError as error:
    print(type(error).__name__, error)
"""


def test_the_pipelines_of_pytorch_import_no_jax():
    said("import sys, calotype\ncalotype.StableDiffusionImg2ImgPipeline\nassert 'jax' not in sys.modules")


def test_where_jax_is_missing_the_extra_is_named():
    told = said(REFUSED)
    assert told.startswith("MissingDependency") and 'pip install "calotype[flax]"' in told


def test_the_twin_needs_jax_and_not_flax():
    said("import sys, calotype\ncalotype.FlaxStableDiffusionImg2ImgPipeline\nassert 'flax' not in sys.modules")
