"""The public surface: names and signatures, as they were when last looked at. A change here is a change for users."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import calotype

RECORD = Path(__file__).with_name("surface.txt")


def described(found: object, name: str) -> list[str]:
    """One line for the name, one for what it is made from, one for each public method of its own."""
    if not inspect.isclass(found):
        return [name]
    bases = ", ".join(base.__name__ for base in found.__bases__ if base is not object)
    made = str(inspect.signature(found.__init__)) if "__init__" in vars(found) else ""
    lines = [f"{name}: {bases}{' ' if bases else ''}{made}"]
    for method, value in sorted(vars(found).items()):
        if (method.startswith("_") and method != "__call__") or inspect.isclass(value):
            continue
        called = getattr(found, method)
        lines.append(f"    {method}{inspect.signature(called) if callable(called) else f': {type(value).__name__}'}")
    return lines


def surface() -> str:
    """The public names, and the classes of ours that they are made of, each once."""
    classes = {}
    for name in calotype.__all__:
        found = getattr(calotype, name)
        kin = (
            [base for base in found.__mro__ if base.__module__.startswith("calotype")] if inspect.isclass(found) else []
        )
        classes |= {base.__name__: base for base in kin} or {name: found}
    return "\n".join(line for name, found in sorted(classes.items()) for line in described(found, name)) + "\n"


def test_names_are_sorted_and_each_is_there():
    names = [name for name in calotype.__all__ if not name.startswith("_")]
    assert names == sorted(names)
    assert all(getattr(calotype, name) is not None for name in names)
    assert set(calotype.__all__) <= set(dir(calotype))


def test_the_surface_is_as_recorded():
    """After a wanted change: python -m tests.surface.test_surface"""
    assert surface() == RECORD.read_text()


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_calotype_loads_nothing_heavy():
    heavy = {"torch", "numpy", "PIL", "tokenizers", "safetensors", "huggingface_hub", "tqdm"}
    assert not heavy & loaded_by("import calotype")


def test_importing_a_pipeline_loads_no_library_that_it_does_not_need():
    unwanted = {
        "transformers",
        "diffusers",
        "accelerate",
        "peft",
        "scipy",
        "torchsde",
        "huggingface_hub",
        "tokenizers",
        "torchvision",
        "pandas",
    }
    assert not unwanted & loaded_by("from calotype import StableDiffusionPipeline")


if __name__ == "__main__":
    RECORD.write_text(surface())
