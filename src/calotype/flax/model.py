"""Networks of JAX: pure functions of trees of weights, which come from and go to Flax's files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import Array
from torch import Tensor

from calotype.core.atomic import Saving, saving
from calotype.core.errors import IncompatibleWeights, InvalidArgument, MissingFile
from calotype.core.files import HUB_NAMES, Source, locate
from calotype.core.model import ModelMixin, Unfilled
from calotype.core.schema import refuse_unknown
from calotype.core.weights import Rules, check_finite, gather, match
from calotype.flax import networks as networks  # enters the arithmetic of the layers
from calotype.flax.layers import Params, Run
from calotype.flax.msgpack import MsgpackFile, msgpack_bytes
from calotype.flax.names import Spelling, grown, leaves, planted
from calotype.flax.twin import Twin, floating

LOADING = ("dtype", "from_pt", "allow_nonfinite")
SPELT_BY_OTHERS = ("split_head_dim", "use_memory_efficient_attention")  # how to compute, which is for JAX to choose


class FlaxModelMixin(Twin):
    """A network whose layers PyTorch's class lays out, without weights; JAX computes them.

    ``dtype`` is what it computes in, whatever the weights are kept in.
    """

    twin: ClassVar[type[ModelMixin]]  # pyright: ignore[reportIncompatibleVariableOverride]
    also_known = frozenset({"latent_rgb", *SPELT_BY_OTHERS})
    weights_name: ClassVar[str] = "diffusion_flax_model.msgpack"
    spelling: ClassVar[Spelling] = Spelling()

    def __init__(self, dtype: Any = jnp.float32, **config: Any) -> None:
        with torch.device("meta"), Unfilled(sys.maxsize):
            self._settle(self.twin(**config), dtype)

    def _settle(self, network: Any, dtype: Any) -> None:
        self.network: Any = network.to("meta").eval()
        self.dtype = floating(dtype)
        self.places, self.homes = self.spelling.places(network), self.spelling.homes(network)
        self.register_to_config(**network.config)
        self.check_layers()

    def check_layers(self) -> None:
        """Refuse a network with layers that are not here."""

    # ------------------------------------------------------------------ weights

    @property
    def wanted(self) -> dict[str, Tensor]:
        """Every weight by its path, as a tensor without values."""
        return planted(dict(self.network.named_parameters()), self.homes)

    def check_params(self, params: Any, where: str = "params", devices: int | None = None) -> None:
        """Refuse weights that are not this network's, or not there once for each of so many devices."""
        if not isinstance(params, Mapping):
            raise InvalidArgument(where, "a tree of weights: dicts of dicts of arrays", type(params).__name__)
        ahead = () if devices is None else (devices,)
        found = leaves(params)
        for key, tensor in self.wanted.items():
            shape = (*ahead, *tensor.shape)
            if key not in found or jnp.shape(found[key]) != shape:
                told = f"shape {jnp.shape(found[key])}" if key in found else "no such weight"
                fix = "With jit=True, replicate them over the devices; without, do not." if key in found else ""
                raise IncompatibleWeights(f"{where}: {key!r}", f"shape {shape}", told, fix)

    def init_weights(self, rng: Array) -> dict[str, Any]:
        """Fresh weights, as the twin in PyTorch begins with them."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(jax.random.bits(rng)))
            return self.as_params(self.twin.from_config(self.config).state_dict())

    def as_params(self, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        """The twin's weights as this network's."""
        return grown({key: as_array(tensor) for key, tensor in planted(tensors, self.homes).items()})

    def to_bf16(self, params: Params) -> Params:
        """The weights in bfloat16."""
        return cast(params, jnp.bfloat16)

    def to_fp16(self, params: Params) -> Params:
        """The weights in float16."""
        return cast(params, jnp.float16)

    def to_fp32(self, params: Params) -> Params:
        """The weights in float32."""
        return cast(params, jnp.float32)

    # ------------------------------------------------------------------ files

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """The network in a folder or a repository, and its weights; with ``from_pt`` from PyTorch's files."""
        refuse_unknown(kwargs, (*HUB_NAMES, *LOADING, *cls.init_names()), f"{cls.__name__}.from_pretrained")
        source, rest = locate(pretrained_model_name_or_path, kwargs)
        options = {name: rest.pop(name) for name in LOADING if name in rest}
        return cls.from_files(source, rest, **options)

    @classmethod
    def from_source(cls, source: Source, changes: Mapping[str, Any] | None = None, **_: Any) -> NoReturn:
        """Refused: pipelines of PyTorch ask for this, and cannot use a network of JAX."""
        fix = "Load such files with FlaxStableDiffusionImg2ImgPipeline."
        raise InvalidArgument(source.where(""), f"a {cls.twin.__name__} for PyTorch", f"a {cls.__name__}", fix)

    @classmethod
    def from_files(
        cls,
        source: Source,
        changes: Mapping[str, Any] | None = None,
        dtype: Any = jnp.float32,
        from_pt: bool = False,
        allow_nonfinite: bool = False,
    ) -> tuple[Any, dict[str, Any]]:
        """The network in a located folder, and its weights as they are kept there."""
        made: Any = cls.__new__(cls)
        if from_pt:
            network = cls.twin.from_source(source, changes, torch_dtype="auto", allow_nonfinite=allow_nonfinite)
            tensors = dict(network.state_dict())
            made._settle(network, dtype)
            return made, made.as_params(tensors)
        if not source.has(cls.weights_name):
            fix = (
                "from_pt=True reads PyTorch's." if any(name.endswith(".safetensors") for name in source.list()) else ""
            )
            raise MissingFile(source.where(cls.weights_name), "weights of Flax's", "none", fix)
        config = cls.read_config(source) | {"_class_name": cls.twin.__name__}
        file = MsgpackFile(source.file(cls.weights_name))
        limit = 2 * len(file.stored()) + 1000
        made._settle(cls.twin._unfilled(config, changes or {}, limit, source), dtype)
        made.register_to_config(_name_or_path=source.told)
        wanted, found = made.wanted, gather([file], Rules(ignore=cls.twin.keys_to_ignore_on_load))
        match(wanted, found, f"{cls.__name__} and {file.path}", Rules())
        if not allow_nonfinite:
            check_finite([file])
        arrays = ((key, file.tensors({key: stored.dtype})[key]) for key, stored in found.items())
        return made, grown({key: as_array(tensor) for key, tensor in arrays})

    def save_pretrained(self, save_directory: str | os.PathLike[str], params: Params) -> None:
        """Write these weights and the config into a folder, both of them or none."""
        with saving(Path(save_directory)) as save:
            self.stage(save, ".", params)

    def stage(self, save: Saving, folder: str, params: Params | None = None) -> None:
        """Write weights, and then config, into a folder of a larger save."""
        self.check_params(params, f"params of {folder}" if folder != "." else "params")
        tensors = {key: as_tensor(array) for key, array in leaves(params or {}).items()}
        save.write(f"{folder}/{self.weights_name}", msgpack_bytes(grown(tensors)))
        super().stage(save, folder)

    # ------------------------------------------------------------------ at work

    def run(self, params: Params) -> Run:
        """The network at work with these weights."""
        return Run(self.places, params, self.dtype)

    def apply(
        self, variables: Mapping[str, Params], *inputs: Any, method: Callable[..., Any] | None = None, **named: Any
    ) -> Any:
        """Call the network, or a method of it, with ``variables["params"]`` as weights, as Flax spells it."""
        called: Any = method or self
        return called(*inputs, params=variables["params"], **named)


def cast(params: Params, dtype: Any) -> Any:
    """The weights in this type, whole numbers as they are."""
    return jax.tree.map(
        lambda array: array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array, params
    )


def as_array(tensor: Tensor) -> Array:
    """A tensor as an array of JAX, with memory of its own; numpy knows no bfloat16, JAX lends it one."""
    tensor = tensor.detach().contiguous()
    if tensor.dtype == torch.bfloat16:
        return jnp.array(tensor.view(torch.int16).numpy().view(jnp.bfloat16))
    return jnp.array(tensor.numpy())


def as_tensor(array: Any) -> Tensor:
    """An array of JAX as a tensor."""
    values = np.array(array, order="C")
    if values.dtype == jnp.bfloat16:
        return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(values)
