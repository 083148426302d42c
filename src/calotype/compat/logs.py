"""How much is told: the words of ``diffusers.utils.logging`` for calotype's own log."""

from __future__ import annotations

import logging
import os
from functools import partial
from logging import CRITICAL, DEBUG, ERROR, FATAL, INFO, NOTSET, WARN, WARNING

from calotype.core import progress

__all__ = ["CRITICAL", "DEBUG", "ERROR", "FATAL", "INFO", "NOTSET", "WARN", "WARNING"]

OURS = "calotype"
log_levels = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR, "critical": CRITICAL}
_handler = logging.StreamHandler()


def get_logger(name: str | None = None) -> logging.Logger:
    """The log of this name; without one calotype's."""
    return logging.getLogger(name or OURS)


def get_verbosity() -> int:
    return get_logger().getEffectiveLevel()


def set_verbosity(verbosity: int) -> None:
    get_logger().setLevel(verbosity)


set_verbosity_debug = partial(set_verbosity, DEBUG)
set_verbosity_info = partial(set_verbosity, INFO)
set_verbosity_warning = partial(set_verbosity, WARNING)
set_verbosity_error = partial(set_verbosity, ERROR)


def enable_default_handler() -> None:
    """Tell it on stderr too."""
    get_logger().addHandler(_handler)


def disable_default_handler() -> None:
    get_logger().removeHandler(_handler)


def enable_explicit_format() -> None:
    """Tell when, where and how serious."""
    _handler.setFormatter(logging.Formatter("[%(levelname)s|%(filename)s:%(lineno)s] %(asctime)s >> %(message)s"))


def reset_format() -> None:
    _handler.setFormatter(None)


def enable_propagation() -> None:
    get_logger().propagate = True


def disable_propagation() -> None:
    get_logger().propagate = False


def disable_progress_bar() -> None:
    """No bars from now on, of any pipeline."""
    progress.shown = False


def enable_progress_bar() -> None:
    progress.shown = True


if os.environ.get("DIFFUSERS_VERBOSITY") in log_levels:
    set_verbosity(log_levels[os.environ["DIFFUSERS_VERBOSITY"]])
