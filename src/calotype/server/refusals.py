"""Why a request is not answered, told once for all routes: a status, and JSON that names the field."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from http import HTTPStatus

from calotype.core.errors import CalotypeError, InvalidArgument, NotFinite
from calotype.remote.heads import TooLarge

KINDS = {
    401: "authentication_error",
    403: "permission_error",
    429: "overloaded",
    500: "server_error",
    503: "unavailable",
}


class Refused(CalotypeError):
    """A request that is answered with this status."""

    def __init__(
        self, status: int, where: str, expected: str = "", found: str = "", fix: str = "", wait: float | None = None
    ) -> None:
        super().__init__(where, expected, found, fix)
        self.status, self.wait = status, wait


@dataclass(frozen=True)
class Refusal:
    """An answer that says no."""

    status: int
    content: dict[str, object]
    headers: dict[str, str] = field(default_factory=dict[str, str])


# the first that an error is one of says the status
STATUSES: dict[type[Exception], int] = {TooLarge: 413, InvalidArgument: 422, NotFinite: 422, MemoryError: 503}


def refusal_of(error: BaseException, request: str) -> Refusal:
    """What a client is told; of an error that is none of ours, no more than the request's number."""
    status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 500)
    param, message = None, f"Something went wrong here; it stands in the log under {request}."
    headers: dict[str, str] = {}
    if isinstance(error, Refused):
        status, message, param = error.status, str(error), error.where
        if error.wait is not None:
            headers["Retry-After"] = str(max(1, math.ceil(error.wait)))
    elif status == 503:
        message, headers["Retry-After"] = "There is no memory for this now.", "5"
    elif status != 500 and isinstance(error, CalotypeError):
        message, param = str(error), error.where
    return Refusal(status, told(status, message, param, request), headers)


def told(status: int, message: str, param: str | None, request: str) -> dict[str, object]:
    """The JSON of every refusal."""
    code = HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
    kind = KINDS.get(status, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code, "request": request}}
