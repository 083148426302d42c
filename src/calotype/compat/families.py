"""Which pipeline does which task of which family, in the peer's three tables."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from calotype.core.names import public
from calotype.pipelines.auto import FAMILIES


def _doing(task: str) -> OrderedDict[str, type[Any]]:
    return OrderedDict((family, public(tasks[task])) for family, tasks in FAMILIES.items() if task in tasks)


AUTO_TEXT2IMAGE_PIPELINES_MAPPING = _doing("text2img")
AUTO_IMAGE2IMAGE_PIPELINES_MAPPING = _doing("img2img")
AUTO_INPAINT_PIPELINES_MAPPING = _doing("inpaint")
