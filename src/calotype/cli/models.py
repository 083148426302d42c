"""``calotype models``: what is cached, what a repository would cost, what a file is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calotype.cli.said import as_json_option, bytes_said, say_json, say_table

if TYPE_CHECKING:
    from calotype.core.files import Source


@click.group()
def models() -> None:
    """Models on this machine and on the Hub."""


@models.command("list")
@as_json_option
def list_models(as_json: bool) -> None:
    """List the pocket models, which ship with the package, and the repositories in the Hub's cache."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    from calotype.core.pocket import pocket_names

    try:
        cached = [repository for repository in scan_cache_dir().repos if repository.repo_type == "model"]
    except CacheNotFound:
        cached = []
    found: list[dict[str, Any]] = [_pocket(name) for name in pocket_names()]
    found += [
        {
            "name": repository.repo_id,
            "bytes": repository.size_on_disk,
            "files": repository.nb_files,
            "commits": sorted(revision.commit_hash for revision in repository.revisions),
        }
        for repository in sorted(cached, key=lambda repository: repository.repo_id)
    ]
    if as_json:
        say_json(found)
        return
    say_table(
        [
            one["name"],
            bytes_said(one["bytes"]),
            f"{one['files']} files",
            (*one["commits"], "ships with calotype")[0][:19],
        ]
        for one in found
    )


def _pocket(name: str) -> dict[str, Any]:
    from calotype.core.pocket import SHELF

    files = [path for path in (SHELF / name).rglob("*") if path.is_file()]
    return {"name": name, "bytes": sum(path.stat().st_size for path in files), "files": len(files), "commits": []}


@models.command()
@click.argument("repository")
@click.option("--dry-run", is_flag=True, help="Say which files and how many bytes, and fetch no weights.")
@click.option("--revision", help="A branch, tag or commit.")
@click.option("--variant", help="The variant of the weights, such as fp16.")
@as_json_option
def pull(repository: str, dry_run: bool, revision: str | None, variant: str | None, as_json: bool) -> None:
    """Fetch what a pipeline of REPOSITORY is loaded from, and nothing else."""
    from calotype.core.files import HubOptions, open_source

    source = open_source(repository, HubOptions(revision=revision))
    if source.repository is None:
        raise click.UsageError(f"{repository} is a folder: nothing is to be fetched.")
    from calotype.cli.needed import together

    wanted = list(together(source, variant))
    whole, *connected = (_plan(each, names) for each, names in wanted)
    rows: list[dict[str, Any]] = [row for plan in (whole, *connected) for row in plan["files"]]
    missing = [row["bytes"] or 0 for row in rows if not row["cached"]]
    for each, names in [] if dry_run else wanted:
        each.fetch(names)
    total = {"files": len(missing), "bytes": sum(missing)}
    if as_json:
        say_json({**whole, "to_fetch": total, "connected": connected})
        return
    for plan in (whole, *connected):
        click.echo(f"{plan['repository']} at {plan['commit'][:12]}")
        say_table(
            [f"  {row['file']}", bytes_said(row["bytes"] or 0), "cached" * row["cached"]] for row in plan["files"]
        )
    verb = "to fetch" if dry_run else "fetched"
    click.echo(f"{total['files']} files {verb}, {bytes_said(total['bytes'])}")


def _plan(source: Source, names: list[str]) -> dict[str, Any]:
    """These files of a repository, their bytes, and which of them are here already."""
    repository: Any = source.repository
    names = list(dict.fromkeys(names))
    sizes = repository.sizes(names, source.folder)
    rows = [{"file": name, "bytes": sizes[name], "cached": (source.folder / name).exists()} for name in names]
    return {"repository": source.told, "commit": repository.commit, "files": rows}


@models.command()
@click.argument("path")
@as_json_option
def info(path: str, as_json: bool) -> None:
    """Say what PATH, a folder, a file or a pocket model, is: family, precision, size, missing keys, danger of pickles.

    Nothing in it is run.
    """
    from calotype.cli.inspection import inspected
    from calotype.core.pocket import pocket_folder

    folder = pocket_folder(path) or Path(path)
    if not folder.exists():
        raise click.UsageError(f"{path}: expected a folder, a file or a pocket model, found nothing of that name.")
    facts = inspected(folder)
    if as_json:
        say_json(facts)
        return
    say_table((name, _said(name, value)) for name, value in facts.items() if name not in ("parts", "pickles"))
    for name, part in facts.get("parts", {}).items():
        precision = _said("precision", part["precision"])
        click.echo(f"  {name}: {part['class'] or part['family']}, {precision}, {bytes_said(part['bytes'])}")
    for name, danger in facts["pickles"].items():
        click.echo(f"pickle {name}: {danger or 'tensors and nothing else'}")


def _said(name: str, value: Any) -> str:
    if name == "bytes":
        return bytes_said(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        shown = ", ".join(str(item) for item in value[:5])  # pyright: ignore
        return f"{shown} and {len(value) - 5:,} more" if len(value) > 5 else shown or "none"  # pyright: ignore
    return "unknown" if value is None else str(value)
