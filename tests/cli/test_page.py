"""docs/cli.md and the command line know the same verbs, options and exit codes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from calotype.cli import verbs
from calotype.cli.verbs import CODES, DEADLINE, DIFFERS, INTERRUPTED

PAGE = (Path(__file__).parents[2] / "docs/cli.md").read_text()
LINES = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines() if line]


def leaves(group: click.Group, name: str = ""):
    for word, verb in group.commands.items():
        yield from (
            leaves(verb, f"{name} {word}") if isinstance(verb, click.Group) else [(f"{name} {word}".strip(), verb)]
        )


def test_there_are_lines():
    assert len(LINES) > 8


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_the_page_is_understood(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(line)
    assert program == "calotype"
    verb: click.Command = verbs
    while isinstance(verb, click.Group):
        verb = verb.commands[words.pop(0)]
    for word in words:  # files that it names are there
        if re.fullmatch(r"(\./|downloads/)?[\w.-]+", word) and ("." in word):
            Path(word).parent.mkdir(exist_ok=True)
            Path(word).touch()
    with verb.make_context(verb.name, words) as context:
        assert context.params


@pytest.mark.parametrize(("name", "verb"), list(leaves(verbs)), ids=[name for name, _ in leaves(verbs)])
def test_every_verb_and_option_is_on_the_page(name, verb):
    assert f"calotype {name}" in PAGE
    options = [option for parameter in verb.params if isinstance(parameter, click.Option) for option in parameter.opts]
    assert all(option in PAGE for option in options)
    assert all(parameter.help for parameter in verb.params if isinstance(parameter, click.Option)) and verb.help


def test_exit_codes_are_those_of_the_page():
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert told == {0, DIFFERS, DEADLINE, INTERRUPTED, *CODES.values()}
