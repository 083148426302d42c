"""First among those who find modules: it answers for ``diffusers`` and all below it, and for nothing else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from calotype.compat import peer
from calotype.core.errors import AlreadyImported

PEER = "diffusers"


def install() -> None:
    """Answer for the peer from now on; refused where it is there already, as two kinds of objects would meet."""
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    if PEER in sys.modules:
        fix = "Put `import calotype.compat.diffusers` above everything that imports it, or `calotype run` the script."
        raise AlreadyImported(PEER, "nothing of it imported yet", "the package itself", fix)
    sys.meta_path.insert(0, Finder())


class Finder(MetaPathFinder, Loader):
    """Finds every module that the peer has, installed or not, and makes an empty one that looks things up."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root, _, below = fullname.partition(".")
        if root != PEER or not peer.is_module(below):
            return None
        return ModuleSpec(fullname, self, is_package=peer.is_package(below))

    def find_distributions(self, context: Any = None) -> list[Any]:
        """What is known of the peer as a package, for who asks for it by name or for all that are installed."""
        from calotype.compat.metadata import Claim  # read when versions are asked for

        wanted = getattr(context, "name", None)
        return [Claim()] if wanted is None or wanted.lower() == PEER else []

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Mirror(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__all__"] = peer.names_in(_below(module.__name__))


class Mirror(ModuleType):
    """A module of the peer's name that holds calotype's objects, each from when it is first asked for."""

    def __getattr__(self, name: str) -> Any:
        below = _below(self.__name__)
        if peer.is_known(f"{below}.{name}".lstrip(".")):
            return import_module(f"{self.__name__}.{name}")
        try:
            found = peer.lookup(below, name)
        except LookupError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self) from None
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *peer.names_in(_below(self.__name__))})


def _below(name: str) -> str:
    return name.partition(".")[2]
