"""``python -m benchmarks [names] [--quick] [--table]``: measure, keep a record, renew the README's table."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.question import QUIET, Answer, Place, ask

NAMES = ("imports", "load", "lora", "step", "decode", "preview", "end_to_end", "memory", "serve", "helios")
LONG = ("soak",)  # asked only when they are named


def main(arguments: list[str] | None = None) -> None:
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help=f"of {', '.join(NAMES)}, or {', '.join(LONG)}; if none is given, all but the last"
    )
    parser.add_argument("--quick", action="store_true", help="tiny networks, one round, no record: does it run?")
    parser.add_argument("--table", action="store_true", help="only renew the README's table from the newest record")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in NAMES + LONG]
    if unknown:
        parser.error(f"{unknown[0]}: expected {', '.join(NAMES + LONG)}")
    os.environ.update(QUIET)
    from benchmarks import records

    if options.table:
        records.renew_readme()
        return
    print(*(f"{key} {value}" for key, value in records.machine().items()), sep=", ")
    print("minimum / median of each side, median ratio", flush=True)
    for answer in answer_all(options.names or NAMES, options.quick):
        print(answer.line(), flush=True)
        if not options.quick:  # each at once: a run that is cut short keeps what it found
            records.keep(answer)


def answer_all(names: list[str] | tuple[str, ...], quick: bool) -> Iterator[Answer]:
    """The answers to the questions of these files, each as soon as it is there."""
    from benchmarks.networks import tiny, true_size

    with TemporaryDirectory() as scratch:
        small = tiny(Path(scratch))
        place = Place(small if quick else true_size(), small, 32 if quick else 512, quick)
        for name in names:
            for question in import_module(f"benchmarks.{name}").questions(place):
                yield ask(question, quick)


if __name__ == "__main__":
    main()
