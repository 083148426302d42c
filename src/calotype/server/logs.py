"""One line of JSON for each thing that happened; never a payload, a key or a query."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

log = logging.getLogger("calotype.server")


class Lines(logging.Formatter):
    """A record, and what was handed over as ``extra={"facts": {...}}``, as one object."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        told = {"time": time, "level": record.levelname.lower(), "logger": record.name, "event": record.getMessage()}
        told |= getattr(record, "facts", {})
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def write_lines() -> None:
    """Send what the server and the library say to standard error, as lines of JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    for name, level in (("calotype", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
