"""The components of a Helios pipeline, held against each other before any of them works."""

from __future__ import annotations

from typing import Any

from calotype.core.errors import InvalidArgument
from calotype.schedulers.staged import StagedSolver

READERS = ("tokenizer", "text_encoder")  # not needed where texts come as states


def check_parts(call: Any, staged: bool) -> None:
    """The components are there and fit together; the scheduler walks several stages, or one."""
    for name, part in call.components.items():
        if part is None and name not in READERS:
            fix = f"Give it by name: from_pretrained(..., {name}=...)."
            raise InvalidArgument(name, "a component, as films are made with it", "None", fix)
    check_scheduler(call.scheduler, staged)
    config, drawn = call.transformer.config, call.vae.config.get("z_dim", call.transformer.config.in_channels)
    if not config.in_channels == config.out_channels == drawn:
        found = f"{config.in_channels} read and {config.out_channels} written by transformer, {drawn} by vae"
        raise InvalidArgument("transformer, vae", "latents with one number of channels", found)
    read = getattr(getattr(call.text_encoder, "config", None), "d_model", config.text_dim)
    if read != config.text_dim:
        found = f"{config.text_dim} read by transformer, {read} by text_encoder"
        raise InvalidArgument("transformer, text_encoder", "states of texts of one width", found)


def check_scheduler(scheduler: Any, staged: bool) -> None:
    """The scheduler is one of Helios, with as many stages as the pipeline walks."""
    if not isinstance(scheduler, StagedSolver):
        fix = "Make one from its config: HeliosScheduler.from_config(scheduler.config)."
        raise InvalidArgument("scheduler", "a HeliosScheduler or a HeliosDMDScheduler", type(scheduler).__name__, fix)
    stages = scheduler.config.stages
    if (stages > 1) != staged:
        wanted, other = ("several stages", "HeliosPipeline") if staged else ("one stage", "HeliosPyramidPipeline")
        raise InvalidArgument("scheduler", f"one that walks {wanted}", f"stages={stages}", f"{other} is for this one.")


def check_readers(call: Any, reads: bool) -> None:
    """Where texts are to be read, there is what reads them."""
    missing = [name for name in READERS if reads and getattr(call, name) is None]
    if missing:
        fix = "Or give prompt_embeds, and negative_prompt_embeds where there is guidance."
        raise InvalidArgument(", ".join(missing), "components that read the texts", "None", fix)
