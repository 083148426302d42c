"""What verbs say: for people, or as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

as_json_option = click.option("--json", "as_json", is_flag=True, help="Say it as JSON, for machines.")


def say_json(document: Mapping[str, Any] | Sequence[Any], err: bool = False) -> None:
    """One document in one line, perhaps of standard error."""
    click.echo(json.dumps(document), err=err)


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


def say_facts(facts: dict[str, list[Any]]) -> None:
    """What the recipe says otherwise now."""
    for name, (then, now) in facts.items():
        click.echo(f"  {name}: {_short(then)} then, {_short(now)} now")


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:12]}..."
