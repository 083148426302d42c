"""What verbs say: for people, or as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

as_json_option = click.option("--json", "as_json", is_flag=True, help="Say it as JSON, for machines.")


def say_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """One document in one line."""
    click.echo(json.dumps(document))


def say_table(rows: Iterable[Sequence[object]]) -> None:
    """Rows in columns as wide as what stands in them."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def bytes_said(count: int) -> str:
    """A number of bytes in three digits or so."""
    size, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.3g} {units[0]}" if count >= 1000 else f"{count} bytes"
