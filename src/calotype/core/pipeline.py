"""The base of every pipeline: named components, where they are, and how they come and go. It knows no diffusion."""

from __future__ import annotations

import copy
import gc
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar
from weakref import WeakSet

import torch
from torch import nn

from calotype.core import assembly, progress
from calotype.core.bundle import Bundle
from calotype.core.config import ConfigMixin, FrozenDict
from calotype.core.devices import reached
from calotype.core.errors import CorruptFile, InvalidArgument, Unloaded
from calotype.core.files import Source
from calotype.core.group_offload import GroupOffload, group_offload
from calotype.core.names import component_class, written_as
from calotype.core.offload import CPU, ModelOffload, SequentialOffload, accelerator
from calotype.core.resuming import reopen
from calotype.core.story import Stream
from calotype.ops.pictures import array_to_pil


class DiffusionPipeline(ConfigMixin):
    """Components under their names, loaded, saved and moved together; a call is a story told on a copy of it."""

    config_name = "model_index.json"
    model_cpu_offload_seq: ClassVar[str | None] = None
    _optional_components: ClassVar[list[str]] = []
    _exclude_from_cpu_offload: ClassVar[list[str]] = []
    _callback_tensor_inputs: ClassVar[list[str]] = ["latents"]
    # components that work in turn at each step: with model offload they are on the device together
    works_together: ClassVar[frozenset[str]] = frozenset()

    # what each argument of a call may be, by name
    argument_rules: ClassVar[Mapping[str, Callable[[str, Any], None]]] = {}
    # arguments that calls take beside those of their signature, which is the peer's, and their defaults
    beside_signature: ClassVar[Mapping[str, Any]] = {}
    # what ``usual_arguments`` of a folder may name beside the arguments of the call: others load the same folder
    usual_beside: ClassVar[tuple[str, ...]] = ()
    # arguments that a call keeps as ``_name``, where callbacks read and change them
    live_settings: ClassVar[tuple[str, ...]] = ()
    # what a state file keeps of an argument, in its place, as a bookmark is beside it
    kept_as: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}

    # how a call is handed out, and after how many of the things handed out its state file is written anew
    stream_kind: ClassVar[type[Stream]] = Stream
    state_every: ClassVar[int] = 5

    _component_names: tuple[str, ...] = ()
    _progress_options: FrozenDict = FrozenDict()
    begun: dict[str, Any] | None = None  # the bookmark that a call goes on from
    _offload: ModelOffload | SequentialOffload | GroupOffload | None = None
    _unloaded = False
    _stopped = False
    _running: WeakSet[Any]

    # ------------------------------------------------------------------ components

    def register_modules(self, **modules: Any) -> None:
        """Take components under these names."""
        for name, module in modules.items():
            setattr(self, name, module)
        # the config names components, and must not keep alive one that was replaced
        self._recorded = FrozenDict({name: value for name, value in self._recorded.items() if name not in modules})
        self._component_names = (*dict.fromkeys([*self._component_names, *modules]),)

    @property
    def components(self) -> dict[str, Any]:
        """The components by name, as another pipeline's constructor takes them."""
        return {name: getattr(self, name) for name in self._component_names}

    @property
    def usual_arguments(self) -> Mapping[str, Any]:
        """What a call of this model means where an argument is left out, if that is not the signature's default."""
        return self._recorded.get(assembly.USUAL, {})

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The components that hold weights, those of a bundle one by one."""
        return self._networks_of(self._component_names)

    def _networks_of(self, names: Iterable[str]) -> dict[str, nn.Module]:
        found: dict[str, nn.Module] = {}
        for name in names:
            if isinstance(part := getattr(self, name), nn.Module):
                found |= part.apart(name) if isinstance(part, Bundle) else {name: part}
        return found

    @property
    def config(self) -> FrozenDict:
        parts = {name: written_as(part) for name, part in self.components.items()}
        return FrozenDict({**self._recorded, **parts})

    @property
    def name_or_path(self) -> str | None:
        return self._recorded.get("_name_or_path")

    @classmethod
    def init_defaults(cls) -> dict[str, Any]:
        """What the constructor takes, by name, with ``inspect.Parameter.empty`` where it must be given."""
        parameters = [*inspect.signature(cls.__init__).parameters.values()][1:]
        return {p.name: p.default for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """A pipeline from a folder or a Hub repository; components given by name take the place of loaded ones."""
        return assembly.load(cls.class_for, pretrained_model_name_or_path, kwargs)

    @classmethod
    def class_for(cls, written: str, where: str) -> type[DiffusionPipeline]:
        """The class to make from files that another wrote: this one; the base of all makes the one that wrote them."""
        found = component_class("diffusers", written, where) if cls is DiffusionPipeline else cls
        if not issubclass(found, DiffusionPipeline):
            raise CorruptFile(f"{where}: _class_name", "a pipeline class", written)
        return found

    @classmethod
    def connected_parts(cls, source: Source, missing: list[str], options: Mapping[str, Any]) -> dict[str, Any]:
        """Components that are not in these files, from other files that these name; the options are the load's."""
        return {}

    @classmethod
    def home_of(cls, source: Source, part: str) -> Source:
        """Where the files of a component are that was loaded from these, or from those that they name."""
        return source.sub(part)

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        safe_serialization: bool = True,
        variant: str | None = None,
        max_shard_size: int | str | None = None,
    ) -> None:
        """Write every component into its folder, and the index that makes them a pipeline last."""
        assembly.save(self, save_directory, safe_serialization, variant, max_shard_size)

    @classmethod
    def from_pipe(cls, pipeline: DiffusionPipeline, **kwargs: Any) -> Any:
        """A pipeline of this class from another one's components, shared, not copied."""
        return assembly.rebuild(cls, pipeline, kwargs)

    # ------------------------------------------------------------------ places and types

    @property
    def device(self) -> torch.device:
        return next((next(n.parameters()).device for n in self.networks.values()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        return next((next(n.parameters()).dtype for n in self.networks.values()), torch.float32)

    @property
    def _execution_device(self) -> torch.device:
        return self._offload.device if self._offload else self.device

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """Move or cast every network, as ``torch.nn.Module.to`` does; returns the pipeline."""
        dtype = kwargs.pop("torch_dtype", None) or kwargs.pop("dtype", None)
        device = kwargs.pop("device", None)
        kwargs.pop("silence_dtype_warnings", None)
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch.dtype):
                dtype = value
            elif isinstance(value, (str, int, torch.device)):
                device = value
            else:
                raise InvalidArgument("to", "a device, a dtype, or both", repr(value))
        device = None if device is None else reached("device", device)
        if self._offload and device is not None:
            self._remove_offload()
        for network in self.networks.values():
            network.to(device=device, dtype=dtype)
        return self

    def enable_model_cpu_offload(self, gpu_id: int | None = None, device: torch.device | str | None = None) -> None:
        """Keep networks in main memory; each moves to the accelerator for its turn."""
        place = reached("device", accelerator(gpu_id, device))
        self._remove_offload()
        parts = self._offloaded()
        together = [name for name in parts if name in self.works_together]
        turns = [together, *([name] for name in parts if name not in together)]
        networks = ([*self._networks_of(turn).values()] for turn in turns)
        self._offload = ModelOffload(networks, place)
        self._bring_the_rest(self._offload.device)

    def enable_sequential_cpu_offload(
        self, gpu_id: int | None = None, device: torch.device | str | None = None
    ) -> None:
        """Keep networks in main memory; each layer moves to the accelerator for its turn."""
        place = reached("device", accelerator(gpu_id, device))
        self._remove_offload()
        self._offload = SequentialOffload([*self._networks_of(self._offloaded()).values()], place)
        self._bring_the_rest(self._offload.device)

    def enable_group_offload(
        self,
        onload_device: torch.device | str,
        offload_device: torch.device | str = CPU,
        offload_type: str = "block_level",
        num_blocks_per_group: int | None = None,
        non_blocking: bool = False,
        use_stream: bool = False,
        record_stream: bool = False,
        low_cpu_mem_usage: bool = False,
        offload_to_disk_path: str | None = None,
        exclude_modules: str | list[str] | None = None,
    ) -> None:
        """Keep networks in main memory; so many blocks of layers move to the accelerator for their turn."""
        staying = [exclude_modules] if isinstance(exclude_modules, str) else exclude_modules or []
        odd = next((name for name in staying if name not in self._component_names), None)
        if odd is not None:
            raise InvalidArgument("exclude_modules", f"names among {', '.join(self._component_names)}", repr(odd))
        moving = [name for name in self._component_names if name not in staying]
        planned = group_offload(
            self._networks_of(moving).values(),
            onload_device,
            offload_device,
            offload_type,
            num_blocks_per_group,
            non_blocking,
            use_stream,
            record_stream,
            low_cpu_mem_usage,
            offload_to_disk_path,
        )
        self._remove_offload()
        self._offload = planned
        planned.begin()
        for network in self._networks_of(staying).values():
            network.to(planned.device)

    def _offloaded(self) -> list[str]:
        return [name for name in self._component_names if name not in self._exclude_from_cpu_offload]

    def _bring_the_rest(self, device: torch.device) -> None:
        for network in self._networks_of(self._exclude_from_cpu_offload).values():
            network.to(device)

    def _remove_offload(self) -> None:
        if self._offload:
            self._offload.remove()
            self._offload = None

    remove_all_hooks = _remove_offload

    def maybe_free_model_hooks(self) -> None:
        """Send home what an offloaded call left on the accelerator."""
        if self._offload:
            self._offload.free()

    def unload(self) -> None:
        """Let go of all components: what no other pipeline holds leaves memory. Calls that run go on to their end."""
        self._remove_offload()
        for name in self._component_names:
            vars(self).pop(name, None)
        self._unloaded = True
        gc.collect()
        if torch.accelerator.is_available():
            torch.accelerator.memory.empty_cache()

    def __getattr__(self, name: str) -> Any:
        if vars(self).get("_unloaded") and name in self._component_names:
            source = self.name_or_path
            again = f"{type(self).__name__}.from_pretrained({source!r})" if source else "from_pretrained"
            raise Unloaded(name, "a pipeline with its components", "one that was unloaded", f"Load it again: {again}.")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    # ------------------------------------------------------------------ calls

    def stream(self, *args: Any, **kwargs: Any) -> Stream:
        """The same call, handed out step by step."""
        return type(self).__call__.begin(self, *args, **kwargs)  # pyright: ignore

    def resume(self, state_file: str | os.PathLike[str], **changes: Any) -> Stream:
        """Go on with a call from its state file, step by step; ``output`` is what the unbroken call would return.

        Functions, such as callbacks, are not in the file: give them again. The file is kept up to date.
        """
        arguments, begun = reopen(self, state_file)
        return self.stream(**{**arguments, **changes}, begun=begun, state_file=state_file)

    def for_one_call(self) -> Any:
        """A copy for one call: it shares the components, but the scheduler and whatever the call sets are its own."""
        call = copy.copy(self)
        call._stopped, call._running = False, WeakSet()
        if "scheduler" in self._component_names:
            call.scheduler = copy.deepcopy(self.scheduler)  # pyright: ignore
        self._calls.add(call)
        return call

    @property
    def _calls(self) -> WeakSet[Any]:
        return self.__dict__.setdefault("_running", WeakSet())

    @property
    def interrupt(self) -> bool:
        """Whether the call was asked to stop after its present step."""
        return self._stopped

    @property
    def _interrupt(self) -> bool:
        return self._stopped

    @_interrupt.setter
    def _interrupt(self, stop: bool) -> None:
        """Set inside a callback it stops that call; set on the pipeline it stops the calls that are running."""
        self._stopped = stop
        for call in list(self._calls):
            call._interrupt = stop

    # ------------------------------------------------------------------ small things

    numpy_to_pil = staticmethod(array_to_pil)

    def progress_bar(self, iterable: Iterable[Any] | None = None, total: float | None = None) -> Any:
        """A progress bar with this pipeline's options."""
        return progress.bar(iterable, total, **self._progress_options)

    def set_progress_bar_config(self, **kwargs: Any) -> None:
        """Options for tqdm, such as ``disable=True``."""
        self._progress_options = FrozenDict(kwargs)

    def __repr__(self) -> str:
        held = {} if self._unloaded else self.components
        lines = [f"  {name}: {type(part).__name__}" for name, part in held.items()] or ["  unloaded"]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])
