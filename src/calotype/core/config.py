"""Configs: what a constructor was given, recorded as it was given, and enough to make the object again."""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar

from calotype.core.atomic import Saving, saving
from calotype.core.documents import read_json, to_json
from calotype.core.errors import InvalidArgument
from calotype.core.files import Source, locate
from calotype.core.schema import fit_arguments, refuse_unknown

log = logging.getLogger("calotype.core.config")
Init = TypeVar("Init", bound=Callable[..., None])

# The release of the ecosystem whose files ours are written like.
ECOSYSTEM_VERSION = "0.42.1"
DEFAULTED = "_use_default_values"  # under which a config says what its maker only took by default


class FrozenDict(dict[str, Any]):
    """A dict whose items are attributes too: each can be set, and none comes or goes in other ways."""

    _changed = False  # whether any was set since it was made

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"this config has no {name!r}; it has {', '.join(sorted(self))}") from None

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        if name in self.get(DEFAULTED, ()):
            super().__setitem__(DEFAULTED, [other for other in self[DEFAULTED] if other != name])
        self.__dict__["_changed"] = True

    __setattr__ = __setitem__

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            "a config is changed by config.key = value, or in a new object by from_config(config, key=value)"
        )

    __delitem__ = __delattr__ = _refuse
    pop = popitem = clear = update = setdefault = __ior__ = _refuse  # pyright: ignore[reportAssignmentType]

    def __deepcopy__(self, _: Any) -> FrozenDict:
        copied = FrozenDict(self)
        copied.__dict__["_changed"] = self._changed
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


def register_to_config(init: Init) -> Init:
    """Decorate ``__init__`` so that its arguments, checked and defaults included, become ``self.config``."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def recorded(self: ConfigMixin, *args: Any, **kwargs: Any) -> None:
        refuse_unknown(kwargs, signature.parameters, type(self).__name__)
        bound = signature.bind(self, *args, **kwargs)
        given = dict(list(bound.arguments.items())[1:])
        bound.arguments.update(fit_arguments(init, given, type(self).__name__))
        bound.apply_defaults()
        values = {
            name: value for name, value in list(bound.arguments.items())[1:] if name not in self.ignore_for_config
        }
        defaulted = sorted(name for name in values if name not in given)
        self.register_to_config(**values, **({DEFAULTED: defaulted} if defaulted else {}))
        init(*bound.args, **bound.kwargs)

    return recorded  # pyright: ignore[reportReturnType]


class ConfigMixin:
    """An object that is made again from its ``config``."""

    config_name: ClassVar[str] = "config.json"
    library: ClassVar[str] = "diffusers"
    ignore_for_config: ClassVar[tuple[str, ...]] = ()
    convertible: ClassVar[bool] = False  # can a config that another class wrote make one of these? Schedulers say yes
    also_known: ClassVar[frozenset[str]] = frozenset()  # keys of related classes: kept without a word
    _recorded: FrozenDict = FrozenDict()

    @property
    def config(self) -> FrozenDict:
        """What the object was made from; what reads it anew heeds what is set in it."""
        if "_recorded" not in vars(self):  # one of its own, as it may be changed
            self._recorded = FrozenDict()
        return self._recorded

    def register_to_config(self, **values: Any) -> None:
        """Add values to the recorded config."""
        self._recorded = FrozenDict({**self._recorded, **values})

    @classmethod
    @functools.cache
    def init_names(cls) -> tuple[str, ...]:
        """The names that this class's constructor takes; with ``**kwargs``, those of the class above it too."""
        names: list[str] = []
        for init in (vars(kind)["__init__"] for kind in cls.__mro__ if "__init__" in vars(kind)):
            parameters = list(inspect.signature(init).parameters.values())[1:]
            names += [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
        return tuple(dict.fromkeys(names))

    @classmethod
    def load_config(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        return_unused_kwargs: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The config in a folder or a Hub repository, as a dict; ``subfolder`` and the Hub's options say where."""
        source, unused = locate(pretrained_model_name_or_path, kwargs)
        config = cls.read_config(source)
        return (config, unused) if return_unused_kwargs else config

    @classmethod
    def read_config(cls, source: Source) -> dict[str, Any]:
        """The config in a located folder, checked against this class."""
        config = read_json(source.file(cls.config_name), source.where(cls.config_name))
        cls.check_config(config, source.where(cls.config_name))
        return config

    @classmethod
    def check_config(cls, config: Mapping[str, Any], where: str) -> None:
        """Refuse a config that another class wrote, or whose values this class cannot take."""
        written = config.get("_class_name", cls.__name__)
        if written not in {kind.__name__ for kind in cls.__mro__} and not cls.convertible:
            raise InvalidArgument(f"{where}: _class_name", cls.__name__, repr(written), f"Load it with {written}.")
        fit_arguments(cls.__init__, {name: config[name] for name in cls.init_names() if name in config}, where)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """A new object from a config; keywords win over it, and what its maker only took by default stays behind."""
        if not isinstance(config, Mapping):
            raise InvalidArgument("config", "a mapping, as config and load_config give it", type(config).__name__)  # pyright: ignore[reportUnreachable]
        names = cls.init_names()
        if not return_unused_kwargs:
            refuse_unknown(kwargs, names, cls.__name__)
        defaulted = set(config.get(DEFAULTED, ()))
        told = {key: value for key, value in config.items() if key not in defaulted and not key.startswith("_")}
        cls.check_config(told | {"_class_name": config.get("_class_name", cls.__name__)}, f"{cls.__name__} config")
        values = told | kwargs
        made = cls(**{name: values[name] for name in names if name in values})
        unknown = {key: value for key, value in told.items() if key not in names}
        strange = sorted(unknown.keys() - cls.also_known)
        if strange:
            level = logging.WARNING if cls.library == "diffusers" else logging.DEBUG
            log.log(level, "%s does not know %s of its config; kept, not used", cls.__name__, ", ".join(strange))
        made.register_to_config(**unknown)
        return (made, {k: v for k, v in values.items() if k not in names}) if return_unused_kwargs else made

    @classmethod
    def from_source(cls, source: Source, changes: Mapping[str, Any] | None = None) -> Any:
        """The object that a located folder describes."""
        return cls.from_config(cls.read_config(source), **(changes or {}))

    @classmethod
    def stamp(cls) -> dict[str, str | list[str]]:
        """Who wrote a config, in the words of the library that reads it."""
        from calotype import __version__

        if cls.library == "diffusers":
            whose: dict[str, Any] = {"_class_name": cls.__name__, "_diffusers_version": ECOSYSTEM_VERSION}
        else:
            whose = {"architectures": [cls.__name__]}
        return whose | {"_calotype_version": __version__}

    def to_json_string(self) -> str:
        """The config as its file holds it."""
        values = {key: value for key, value in self.config.items() if not key.startswith("_")}
        return to_json({key: _plain(value) for key, value in (values | self.stamp()).items()})

    def save_config(self, save_directory: str | os.PathLike[str]) -> None:
        """Write the config into a folder, whole or not at all."""
        with saving(Path(save_directory)) as save:
            self.stage(save, ".")

    def stage(self, save: Saving, folder: str) -> None:
        """Write what makes this object again into a folder of a larger save."""
        save.write(f"{folder}/{self.config_name}", [self.to_json_string().encode()])


def _plain(value: Any) -> Any:
    """A config value in JSON's own types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # arrays, tensors and their scalars
        return value.tolist()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
