"""How every verb ends: its exit code, and an error in one line."""

from __future__ import annotations

from typing import Any

import click

from calotype.core.errors import CalotypeError, IncompatibleWeights, InvalidArgument, UnknownArgument

OTHER, USAGE, FILES, DIFFERS, DEADLINE, INTERRUPTED = 1, 2, 3, 4, 124, 130

# the first that an error is one of says the code; what is none of these is a fault of ours and shows where it arose
CODES: dict[type[Exception], int] = {
    InvalidArgument: USAGE,
    UnknownArgument: USAGE,
    IncompatibleWeights: FILES,
    OSError: FILES,
    CalotypeError: OTHER,
}


class Failure(click.ClickException):
    """An error that is told in one line."""

    def __init__(self, error: Exception, code: int) -> None:
        super().__init__(" ".join(str(error).split()))
        self.exit_code = code  # pyright: ignore[reportAttributeAccessIssue]


class Verbs(click.Group):
    """Verbs whose errors are told in one line and whose exit codes are those of docs/cli.md."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except (BrokenPipeError, click.ClickException):
            raise
        except tuple(CODES) as error:
            raise Failure(error, next(code for kind, code in CODES.items() if isinstance(error, kind))) from error
