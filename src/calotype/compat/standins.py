"""What stands for a thing that calotype does not have: it can be imported, named and subclassed, and not used."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any, NoReturn

from calotype.core.errors import NotOffered
from calotype.core.names import PUBLIC

FAMILIES = "Pictures are made by Stable Diffusion 1, 2 and XL and by Kandinsky 2.1 and 2.2, films by Helios"
# what a name looks like, and what does the job instead; the first that fits is told
INSTEAD = {
    r"Flax(\w+)": r"\1 does the same with PyTorch.",
    r"Onnx(\w+)": r"\1 does the same with PyTorch.",
    r"\w*(Lo[rR]A|Lora)\w*": "LoRAs are loaded by load_lora_weights of the pipelines.",
    r"\w*Attn?Processor\w*|\w*Attention\w*": "AttnProcessor2_0 is the processor to start from.",
    r"\w*(Quantization|Quanto|TorchAo|GGUF)\w*": "quantize() of Helios makes its weights smaller.",
    r"\w*(Cache|cache)\w*": "Nothing is skipped: every step is computed.",
    r"(Multi)?T2IAdapter|\w*ControlNet\w*": "ControlNetModel and MultiControlNetModel condition on pictures.",
    r"compute_\w+": "Training is done with PyTorch's own tools, or with the peer's.",
}
PARTIAL = ("Pipeline", "Scheduler", "Model", "Mixin", "Processor", "Callback")


def instead(name: str) -> str:
    """What does the job of a thing of this name."""
    for shape, told in INSTEAD.items():
        if found := re.fullmatch(shape, name):
            said = found.expand(told)
            if said.split()[0] in PUBLIC or not said.endswith("with PyTorch."):
                return said
    ending = next((ending for ending in PARTIAL if name.endswith(ending)), None)
    near = get_close_matches(name, [known for known in PUBLIC if ending and known.endswith(ending)], 2, 0.7)
    if near:
        return f"Nearest is {' or '.join(near)}. {FAMILIES}."
    return f"{FAMILIES}." if ending else "Without calotype.compat the script runs with diffusers itself."


class Absent(type):
    """The kind of a stand-in: each use of it says what is not there."""

    __module__: str

    def _refuse(cls) -> NoReturn:
        first = next(kin for kin in cls.__mro__ if vars(kin).get("stands_alone"))  # of a subclass, what it is made from
        name = first.__name__
        raise NotOffered(f"{first.__module__}.{name}", "something that calotype has", "what it does not", instead(name))

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        cls._refuse()

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        cls._refuse()


def standin(module: str, name: str) -> Any:
    """A class of this name, to be imported and not to be used."""
    return Absent(name, (), {"__module__": module, "__doc__": instead(name), "stands_alone": True})
