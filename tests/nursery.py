"""Processes for tests of what a process leaves behind: forked from one that has read torch and nothing else of ours.

Reading torch takes longer than all that such tests do. A test of how a process begins starts one of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
CALOTYPE = "from calotype.cli import main; main()"
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["torch"])


@dataclass
class Child:
    """A process that runs, or has run, some lines of Python."""

    process: Any
    words: tuple[str, ...]
    folder: TemporaryDirectory[str] = field(repr=False)

    def said(self, stream: str = "stdout") -> str:
        """What it has said so far."""
        return (Path(self.folder.name) / stream).read_text()

    def result(self, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """What it was, once it has ended."""
        self.process.join(timeout)
        code = self.process.exitcode
        assert code is not None, f"it runs for longer than {timeout} seconds"
        done = subprocess.CompletedProcess(self.words, code, self.said(), self.said("stderr"))
        self.process.close()
        self.folder.cleanup()
        return done


def start(code: str, *words: object, env: Mapping[str, str] = os.environ, cwd: Path = ROOT) -> Child:
    """A process that runs this code with these words as its arguments."""
    folder, told = TemporaryDirectory(), tuple(map(str, words))
    for stream in ("stdout", "stderr"):
        (Path(folder.name) / stream).touch()
    process = FORKS.Process(target=_act, args=(code, told, dict(env), str(cwd), folder.name))
    process.start()
    return Child(process, told, folder)


def run(code: str, *words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """What such a process was."""
    return start(code, *words, **options).result()


def _act(code: str, words: tuple[str, ...], env: dict[str, str], cwd: str, folder: str) -> None:
    for number, stream in ((1, "stdout"), (2, "stderr")):
        opened = os.open(os.path.join(folder, stream), os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["-c", *words]
    exec(compile(code, "-c", "exec"), {"__name__": "__main__"})  # noqa: S102
