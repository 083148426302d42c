"""The command line. It is told in docs/cli.md; what is heavy is imported by the verb that needs it."""

from __future__ import annotations

import os
import sys

import click

from calotype import __version__
from calotype.cli.bench import bench
from calotype.cli.env import env
from calotype.cli.generate import generate
from calotype.cli.models import models
from calotype.cli.replay import replay
from calotype.cli.resume import resume
from calotype.cli.run import run
from calotype.cli.serve import serve
from calotype.cli.verbs import Verbs
from calotype.cli.video import video


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="calotype")
def verbs() -> None:
    """Pictures and films from prompts, by diffusion."""


for verb in (generate, video, resume, replay, models, bench, serve, run, env):
    verbs.add_command(verb)


def main() -> None:
    """What the ``calotype`` command and ``python -m calotype`` run."""
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    verbs(prog_name="calotype")
