"""The base of the pipelines of JAX: components by name, and their weights apart from them, in one tree."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from calotype.core.assembly import INDEX, component_words, read_index
from calotype.core.atomic import saving
from calotype.core.config import ECOSYSTEM_VERSION, ConfigMixin, FrozenDict
from calotype.core.documents import to_json
from calotype.core.errors import CorruptFile, InvalidArgument
from calotype.core.files import HUB_NAMES, Source, locate
from calotype.core.model import refuse_code
from calotype.core.names import MODULES, component_class, written_as
from calotype.core.schema import refuse_unknown
from calotype.flax.model import LOADING, SPELT_BY_OTHERS, FlaxModelMixin
from calotype.flax.scheduler import FlaxSchedulerMixin
from calotype.flax.twin import PREFIX
from calotype.ops.pictures import array_to_pil
from calotype.schedulers.mixin import SchedulerMixin


class FlaxDiffusionPipeline(ConfigMixin):
    """Components under their names, loaded and saved together with their weights."""

    config_name = INDEX
    _optional_components: ClassVar[tuple[str, ...]] = ()
    _component_names: tuple[str, ...] = ()

    def register_modules(self, **modules: Any) -> None:
        """Take components under these names."""
        vars(self).update(modules)
        self._component_names = (*dict.fromkeys([*self._component_names, *modules]),)

    @property
    def components(self) -> dict[str, Any]:
        """The components by name, as the constructor takes them."""
        return {name: getattr(self, name) for name in self._component_names}

    @property
    def config(self) -> FrozenDict:
        parts = {name: written_as(part) for name, part in self.components.items()}
        return FrozenDict({**self._recorded, **parts})

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """A pipeline from a folder or a repository, and its weights; components given by name are not loaded."""
        refuse_code(kwargs)
        kwargs = {name: value for name, value in kwargs.items() if name not in SPELT_BY_OTHERS}
        source, given = locate(pretrained_model_name_or_path, kwargs)
        options = {name: given.pop(name) for name in LOADING if name in given}
        index = read_index(source)
        target = cls.class_for(index["_class_name"], source.where(INDEX))
        takes = [name for name in target.init_names() if name != "dtype"]
        refuse_unknown(given, [*takes, *LOADING, *HUB_NAMES], target.__name__)
        params: dict[str, Any] = {}
        for name in takes:
            if name not in given:
                given[name] = target._part(source, index, name, options, params)
            if isinstance(given[name], FlaxSchedulerMixin):
                params[name] = given[name].create_state()
        made: Any = target(**given | {"dtype": options.get("dtype")})
        made.register_to_config(_name_or_path=source.told)
        return made, params

    @classmethod
    def class_for(cls, written: str, where: str) -> type[FlaxDiffusionPipeline]:
        """The class to make from files that another wrote: this one; the base of all makes the one that wrote them."""
        if cls is not FlaxDiffusionPipeline:
            return cls
        found = component_class("diffusers", twin_of(written), where)
        if not issubclass(found, FlaxDiffusionPipeline):
            raise CorruptFile(f"{where}: _class_name", "a pipeline class of JAX", written)
        return found

    @classmethod
    def _part(
        cls,
        source: Source,
        index: Mapping[str, Any],
        name: str,
        options: Mapping[str, Any],
        params: dict[str, Any],
    ) -> Any:
        """A component from its folder; its weights go to the others'."""
        where = f"{source.where(INDEX)}: {name}"
        entry: Any = index.get(name, [None, None])
        words = component_words(entry, where) if isinstance(entry, list) else None
        if words is None:
            if name in cls._optional_components:
                return None
            raise CorruptFile(where, "a component, as [library, class]", repr(entry)[:80])
        found = component_class(words[0], twin_of(words[1]), source.where(INDEX))
        if issubclass(found, FlaxModelMixin):
            model, params[name] = found.from_files(source.sub(name), **options)
            return model
        if issubclass(found, SchedulerMixin):
            known = ", ".join(sorted(known for known in MODULES if known.startswith(PREFIX) and "Scheduler" in known))
            fix = f"Pass {name}=... of another class to from_pretrained."
            raise InvalidArgument(where, f"one of {known}", found.__name__, fix)
        return found.from_source(source.sub(name))

    def save_pretrained(self, save_directory: str | os.PathLike[str], params: Mapping[str, Any]) -> None:
        """Write every component with its weights into its folder, and the index that makes them a pipeline last."""
        self.check_params(params)
        with saving(Path(save_directory)) as save:
            for name, part in self.components.items():
                if part is not None:
                    part.stage(save, name, *([params[name]] if isinstance(part, FlaxModelMixin) else []))
            index = {"_class_name": type(self).__name__, "_diffusers_version": ECOSYSTEM_VERSION}
            index |= {name: entry for name, entry in self.config.items() if not name.startswith("_")}
            save.write(INDEX, [to_json(index).encode()])

    def check_params(self, params: Any, devices: int | None = None) -> None:
        """Refuse weights that are not those of these components, or not there once for each of so many devices."""
        if not isinstance(params, Mapping):
            raise InvalidArgument("params", "the weights that from_pretrained returns", type(params).__name__)
        for name, part in self.components.items():
            if isinstance(part, (FlaxModelMixin, FlaxSchedulerMixin)) and name not in params:
                raise InvalidArgument("params", f"an entry {name!r}", ", ".join(map(str, params)) or "none")
            if isinstance(part, FlaxModelMixin):
                part.check_params(params[name], f"params[{name!r}]", devices)

    numpy_to_pil = staticmethod(array_to_pil)


def twin_of(name: str) -> str:
    """The class of JAX for a class that an index names, if there is one."""
    return f"{PREFIX}{name}" if f"{PREFIX}{name}" in MODULES else name
