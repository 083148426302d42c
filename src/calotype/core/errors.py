"""Every error a user can meet: what was wrong where, what was expected, what was found, what would do."""

from __future__ import annotations


class CalotypeError(Exception):
    """A refusal that says where, what was expected and what was found.

    ``where`` is an argument, a file or a tensor key; ``fix`` is what the reader can do next.
    Subclasses also derive from the built-in exception of such a fault, so ``except ValueError`` keeps working.
    """

    code = "error"

    def __init__(self, where: str, expected: str = "", found: str = "", fix: str = "") -> None:
        self.where, self.expected, self.found, self.fix = where, expected, found, fix
        parts = [f"expected {expected}" if expected else "", f"found {found}" if found else ""]
        told = ", ".join(part for part in parts if part)
        text = f"{where}: {told}" if told else where
        super().__init__(f"{text}. {fix}" if fix else text)

    def __str__(self) -> str:  # KeyError and OSError format their arguments in their own ways
        return str(self.args[0])


class InvalidArgument(CalotypeError, ValueError):
    """An argument has the wrong type, shape or value."""

    code = "invalid_argument"


class WrongType(InvalidArgument, TypeError):
    """An argument is a thing of another kind, whatever its value."""

    code = "wrong_type"


class UnknownArgument(CalotypeError, TypeError):
    """A keyword that nothing here takes."""

    code = "unknown_argument"


class MissingFile(CalotypeError, FileNotFoundError):
    """A file or folder that should be there is not."""

    code = "missing_file"


class CorruptFile(CalotypeError, OSError):
    """A file is truncated, damaged, or not what its name says."""

    code = "corrupt_file"


class UnsafeFile(CalotypeError, OSError):
    """A file wants to run code or to reach outside its folder."""

    code = "unsafe_file"


class IncompatibleWeights(CalotypeError, ValueError):
    """Tensors and network do not fit each other."""

    code = "incompatible_weights"


class NotFinite(CalotypeError, ArithmeticError):
    """A NaN or an infinity where a number should be."""

    code = "not_finite"


class MissingDependency(CalotypeError, ModuleNotFoundError):
    """An optional library is needed for what was asked."""

    code = "missing_dependency"


class DownloadError(CalotypeError, OSError):
    """The Hub could not be reached or did not deliver."""

    code = "download_error"


class Unloaded(CalotypeError, RuntimeError):
    """A component is asked for that ``unload`` let go of."""

    code = "unloaded"


class Unready(CalotypeError, RuntimeError):
    """Something is asked for before what it builds on was done."""

    code = "unready"


class Cancelled(CalotypeError):
    """The work was stopped on request; nothing of the pipeline changed."""

    code = "cancelled"


class DeadlinePassed(Cancelled, TimeoutError):
    """The work was stopped because its time was over; nothing of the pipeline changed."""

    code = "deadline_passed"


class WriteError(CalotypeError, OSError):
    """A file could not be written; what was there before still is."""

    code = "write_error"


class NotOffered(CalotypeError, NotImplementedError, AttributeError):
    """Something that the peer has and calotype has not."""

    code = "not_offered"


class AlreadyImported(CalotypeError, ImportError):
    """A module is there already that another was to take the place of."""

    code = "already_imported"
