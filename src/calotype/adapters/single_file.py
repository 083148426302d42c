"""Pipelines out of single files, and into them: networks by their keys, the rest from what ships with the package."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import torch

from calotype.core.assembly import INDEX, component_words, read_index
from calotype.core.collector import resting_collector
from calotype.core.errors import IncompatibleWeights, InvalidArgument, MissingFile
from calotype.core.files import HUB_NAMES, Source, locate
from calotype.core.model import refuse_code
from calotype.core.names import component_class, public
from calotype.core.schema import refuse_unknown
from calotype.core.tensors import WeightFile
from calotype.models.original_configs import INPAINTING_SCHEDULERS, PADDING, SCHEDULERS, TOLD
from calotype.models.original_files import REFINER, SD, XL, Contents, Part, spelt
from calotype.models.original_yaml import config_of, read_original, scheduler_of
from calotype.models.single_file import (
    SINGLE_NAMES,
    network_of,
    opened,
    part_of,
    recognised,
    shipped_config,
    write_single_file,
)
from calotype.models.vocabulary import clip_tokenizer

NETWORKS = {
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
    "text_encoder": "CLIPTextModel",
    "text_encoder_2": "CLIPTextModelWithProjection",
    "controlnet": "ControlNetModel",
}
NAMES = (*SINGLE_NAMES, "load_safety_checker")
CLASSES = {
    SD: "StableDiffusionPipeline",
    XL: "StableDiffusionXLPipeline",
    REFINER: "StableDiffusionXLPipeline",
}
CHECKING = ("safety_checker", "feature_extractor")


class Pipeline(Protocol):
    """What is needed of a class of pipelines."""

    single_file_families: ClassVar[tuple[str, ...]]

    @classmethod
    def init_defaults(cls) -> dict[str, Any]: ...


class SingleFilePipeline:
    """Reads and writes single files; mixed into the pipelines of a family."""

    single_file_families: ClassVar[tuple[str, ...]]

    @classmethod
    def from_single_file(cls: Any, pretrained_model_link_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """A pipeline from an original checkpoint; components given by name take the place of those in the file."""
        refuse_code(kwargs)
        takes = cls.init_defaults()
        refuse_unknown(kwargs, [*takes, *NAMES], f"{cls.__name__}.from_single_file")
        with resting_collector():
            file = opened(pretrained_model_link_or_path, kwargs)
            found = recognised(file)
            check_family(cls, found, file)
            reading = Reading(file, found, kwargs, config_source(kwargs))
            given = {name: kwargs[name] for name in takes if name in kwargs}
            pipe = cls(**given, **reading.parts([name for name in takes if name not in given], takes, cls))
        pipe.register_to_config(_name_or_path=str(file.path))
        return pipe

    def save_single_file(self: Any, path: str | os.PathLike[str]) -> None:
        """Write the networks under the names of the original checkpoints, whole or not at all."""
        tensors: dict[str, torch.Tensor] = {}
        for name, part in homes_in(self).items():
            tensors |= spelt(getattr(self, name), part)
        told = self.scheduler.config
        velocity = told.get("prediction_type") == "v_prediction"
        marks = {"v_pred": velocity, "ztsnr": velocity and bool(told.get("rescale_betas_zero_snr"))}
        tensors |= {mark: torch.zeros(0) for mark, there in marks.items() if there}
        write_single_file(path, tensors, {"modelspec.prediction_type": "v" if velocity else "epsilon"})


def check_family(cls: type[Pipeline], found: Contents, file: WeightFile) -> None:
    """The file is of a family that this class reads."""
    wanted = cls.single_file_families
    if found.family is not None and found.family not in wanted:
        right = CLASSES.get(found.family)
        fix = f"Load it with {right}." if right else "It can be loaded from a folder, with from_pretrained."
        expected = f"a checkpoint of {' or '.join(wanted)}"
        raise IncompatibleWeights(f"{cls.__name__}, {file.path}", expected, f"one of {found.family}", fix)


def family_class(link_or_path: str, options: Mapping[str, Any]) -> str:
    """The class that makes pictures of texts with the checkpoint in a file."""
    file = opened(link_or_path, {"allow_nonfinite": True, **options})
    found = recognised(file)
    if found.family not in CLASSES or "unet" not in found.parts:
        raise IncompatibleWeights(str(file.path), "a checkpoint that a pipeline can be made of", str(found.kind))
    return CLASSES[found.family]


def config_source(kwargs: Mapping[str, Any]) -> Source | None:
    """The folder or repository that ``config`` names."""
    config = kwargs.get("config")
    if config is None:
        return None
    if kwargs.get("original_config") is not None:
        raise InvalidArgument("config", "this or original_config", "both")
    hub = {key: kwargs[key] for key in HUB_NAMES if key in kwargs and key != "revision"}  # that is the file's
    return locate(config, hub)[0]


class Reading:
    """The components of one file."""

    def __init__(self, file: WeightFile, found: Contents, options: Mapping[str, Any], config: Source | None) -> None:
        self.file, self.found, self.options, self.config = file, found, options, config
        self.family = found.family or SD
        self.index = read_index(config) if config is not None and config.has(INDEX) else {}
        original = options.get("original_config")
        self.original = None if original is None else read_original(original)

    def parts(self, wanted: list[str], takes: Mapping[str, Any], cls: Any) -> dict[str, Any]:
        """These arguments of the pipeline's constructor."""
        made: dict[str, Any] = {}
        for name in wanted:
            default, optional = takes[name], name in cls._optional_components
            if name in NETWORKS and (name != "controlnet" or name in self.found.parts):
                made[name] = None if optional and not self.belongs(name) else self.network(name)
            elif name.startswith("tokenizer"):
                made[name] = self.tokenizer(name) if self.belongs(name.replace("tokenizer", "text_encoder")) else None
            elif name == "scheduler":
                made[name] = self.scheduler()
            elif name in CHECKING and self.options.get("load_safety_checker"):
                made[name] = self.from_config(name)
            elif name == "requires_safety_checker":
                made[name] = bool(self.options.get("load_safety_checker") or self.options.get("safety_checker"))
            elif name in self.index and not isinstance(self.index[name], list):
                made[name] = self.index[name]
            elif name in TOLD.get(self.family, {}):
                made[name] = TOLD[self.family][name]
            elif default is not inspect.Parameter.empty or optional:
                made[name] = None if default is inspect.Parameter.empty else default
            else:
                raise InvalidArgument(name, f"one: no single file has it, {cls.__name__} needs it", "none")
        return made

    def belongs(self, name: str) -> bool:
        """Whether networks of this family have this component."""
        return f"tokenizer{name.removeprefix('text_encoder')}" in PADDING[self.family] or name in ("unet", "vae")

    def network(self, name: str) -> Any:
        part = part_of(self.found, name, bool(self.options.get("extract_ema")), str(self.file.path))
        kind = public(NETWORKS[name])
        options = dict(self.options)
        for key in ("torch_dtype", "dtype"):
            if isinstance(options.get(key), Mapping):
                options[key] = options[key].get(name, options[key].get("default", torch.float32))
        return network_of(kind, self.file, part, self.network_config(name, kind), {}, options)

    def network_config(self, name: str, kind: Any) -> Mapping[str, Any]:
        if self.config is not None:
            return kind.read_config(self.config.sub(name))
        if self.original is not None and name in ("unet", "vae"):
            return shipped_config(self.found, name) | config_of(name, self.original, "original_config")
        return shipped_config(self.found, name)

    def tokenizer(self, name: str) -> Any:
        if self.config is not None and self.config.sub(name).list():
            return public("CLIPTokenizer").from_source(self.config.sub(name))
        return clip_tokenizer(pad_token=PADDING[self.family][name])

    def scheduler(self) -> Any:
        told = {"prediction_type": "v_prediction"} if self.found.predicts_velocity else {}
        told |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"} if self.found.zero_snr else {}
        if self.config is not None:
            return self.from_config("scheduler", told)
        config = SCHEDULERS[self.family]
        if self.found.inpaints:
            config = INPAINTING_SCHEDULERS.get(self.family, config)
        told = (scheduler_of(self.original, "original_config") if self.original is not None else {}) | told
        return component_class("diffusers", config["_class_name"], "scheduler").from_config(config | told)

    def from_config(self, name: str, changes: Mapping[str, Any] | None = None) -> Any:
        """A component of the folder that ``config`` names."""
        words = component_words(self.index[name], name) if self.config is not None and name in self.index else None
        if self.config is None or words is None:
            fix = f"Or pass {name}=..."
            raise MissingFile(f"{name}", "a folder that has it, as config=...", "none: no single file has it", fix)
        source = self.config.sub(name)
        kind: Any = component_class(*words, source.told)
        if issubclass(kind, torch.nn.Module):
            return kind.from_source(source, torch_dtype=self.options.get("torch_dtype"))  # pyright: ignore
        return kind.from_source(source, changes) if changes else kind.from_source(source)


def homes_in(pipe: Any) -> dict[str, Part]:
    """What the keys of each network of a pipeline begin with in an original file of its family."""
    networks = {"unet": Part("model.diffusion_model.", "unet"), "vae": Part("first_stage_model.", "vae")}
    if SD in type(pipe).single_file_families:
        return networks | {"text_encoder": Part("cond_stage_model.transformer.", "own")}
    second = "conditioner.embedders.1.model." if pipe.text_encoder is not None else "conditioner.embedders.0.model."
    first = {"text_encoder": Part("conditioner.embedders.0.transformer.", "own")} if pipe.text_encoder else {}
    return networks | first | {"text_encoder_2": Part(second, "open_clip")}
