"""Twins: classes of JAX whose configs are those of PyTorch's classes, which check them and say what they mean."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from calotype.core.config import ConfigMixin
from calotype.core.errors import InvalidArgument

PREFIX = "Flax"  # before the name of the class that it is the twin of


def floating(dtype: Any) -> Any:
    """A type to compute in."""
    try:
        found = jnp.dtype(jnp.float32 if dtype is None else dtype)
    except TypeError:
        found = None
    if found is None or not jnp.issubdtype(found, jnp.floating):
        raise InvalidArgument("dtype", "a floating point type, such as jax.numpy.bfloat16", repr(dtype))
    return found


class Twin(ConfigMixin):
    """A class with the config of its twin in PyTorch."""

    twin: ClassVar[type[ConfigMixin]]
    dtype: Any

    @classmethod
    @functools.cache
    def init_names(cls) -> tuple[str, ...]:
        """The names that the twin's constructor takes."""
        return cls.twin.init_names()

    @classmethod
    def check_config(cls, config: Mapping[str, Any], where: str) -> None:
        """Refuse what the twin refuses; either of the two may have written it."""
        written = str(config.get("_class_name", cls.__name__)).removeprefix(PREFIX)
        cls.twin.check_config({**config, "_class_name": written}, where)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], return_unused_kwargs: bool = False, dtype: Any = jnp.float32, **kwargs: Any
    ) -> Any:
        """A new object from a config of either twin; keywords win over it."""
        made = super().from_config(config, return_unused_kwargs, **kwargs)
        (made[0] if return_unused_kwargs else made).dtype = floating(dtype)
        return made
