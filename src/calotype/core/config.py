"""Configs: what a constructor was given, recorded as it was given, and enough to make the object again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

Init = TypeVar("Init", bound=Callable[..., None])


class FrozenDict(dict[str, Any]):
    """A dict that cannot be changed and whose items can be read as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"this config has no {name!r}; it has {', '.join(sorted(self))}") from None

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a config cannot be changed: make a new object with from_config(config, key=value)")

    __setitem__ = __delitem__ = __setattr__ = __delattr__ = _refuse
    pop = popitem = clear = update = setdefault = __ior__ = _refuse  # pyright: ignore[reportAssignmentType]

    def __deepcopy__(self, _: Any) -> FrozenDict:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


def register_to_config(init: Init) -> Init:
    """Decorate ``__init__`` so that its arguments, defaults included, become ``self.config``."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def recorded(self: ConfigMixin, *args: Any, **kwargs: Any) -> None:
        extra = {name: kwargs.pop(name) for name in list(kwargs) if name.startswith("_")}
        bound = signature.bind(self, *args, **kwargs)
        given = set(bound.arguments)
        bound.apply_defaults()
        values = {name: value for name, value in list(bound.arguments.items())[1:] if name not in self.ignore_for_config}
        defaulted = sorted(name for name in values if name not in given)
        self.register_to_config(**values, _use_default_values=defaulted, **extra)
        init(self, *args, **kwargs)

    return recorded  # pyright: ignore[reportReturnType]


class ConfigMixin:
    """An object that is made again from its ``config``."""

    config_name = "config.json"
    ignore_for_config: tuple[str, ...] = ()
    _recorded: FrozenDict = FrozenDict()

    @property
    def config(self) -> FrozenDict:
        return self._recorded

    def register_to_config(self, **values: Any) -> None:
        """Add values to the recorded config."""
        self._recorded = FrozenDict({**self._recorded, **values})

    @classmethod
    def init_names(cls) -> list[str]:
        """The names that this class's constructor takes."""
        parameters = inspect.signature(cls.__init__).parameters.values()
        return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)][1:]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], **overrides: Any) -> Any:
        """A new object from a config; keyword arguments win over what the config says."""
        names = cls.init_names()
        defaulted = set(config.get("_use_default_values", ()))
        values = {key: value for key, value in config.items() if key not in defaulted} | overrides
        made = cls(**{name: values[name] for name in names if name in values})
        unknown = {key: value for key, value in values.items() if key not in names and not key.startswith("_")}
        made.register_to_config(**unknown)
        return made
