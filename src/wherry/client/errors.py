"""Everything an upload can fail with, as the client's caller sees it.

Rule 1: the type says what to do, the fields say why: `status`, `code`, `hint`
and `facts` are the server's own words where it spoke, and made here where it
did not.

Rule 2: only a refusal for size has "413" or "too large" in its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class ClientError(Exception):
    """The root. `retryable`: the same request may succeed later.

    `status` is the HTTP status, None where there was no answer; `retry_after` is in
    seconds; `facts` are the further fields of the problem document.
    """

    detail: str
    hint: str = ""
    code: str = ""
    status: int | None = None
    retryable: bool = False
    retry_after: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.detail} {self.hint}".strip()


# No answer came.


class NotConnected(ClientError):
    """There was no connection, so nothing was sent."""


class ConnectionLost(ClientError):
    """The connection broke before the answer; what was sent may have arrived or not."""


class TimedOut(ClientError):
    """Nothing moved on the connection for the idle timeout."""


class AnswerLost(ClientError):
    """All bytes of an upload in one request are out, and its answer was lost.

    The upload may be complete. It is not sent again by itself: that could make two.
    """


class GaveUp(ClientError):
    """There was no progress for the whole of `patience`; `__cause__` is the last error."""


# The server, or a proxy in front of it, said no.


class Unauthorized(ClientError):
    """401 or 403, also with fresh headers."""


class Refused(ClientError):
    """Any other 4xx: the request, its content or its type is not wanted."""


class ServerFailed(ClientError):
    """5xx: the server, or a proxy that did not reach it."""


class NotFound(Refused):
    """There is nothing at this address, or it belongs to somebody else."""


class NotAssessed(NotFound):
    """Wherry assesses nothing here: the application processes its uploads itself."""


class WorkerFails(ClientError):
    """The upload is complete and safe, but nobody assesses at the moment, and why."""


class UploadGone(ClientError):
    """The upload was cancelled, has expired or has failed: its bytes are deleted."""


class BytesMissing(Refused):
    """Completion was asked for too early."""


class TooLarge(ClientError):
    """The file is larger than the server takes, or the smallest chunk than a proxy does."""


class NoSpace(ClientError):
    """507: the file can never fit into the space that the server has."""


class NoRoom(ClientError):
    """The server is full at the moment; whoever waits gets in. It is waited for, not raised."""


class Busy(ServerFailed):
    """Somebody else is completing the upload at the moment."""


class UnexpectedAnswer(ClientError):
    """The answer is not one of Wherry's: most often the address is wrong."""


# On this side.


class FileChanged(ClientError):
    """The file changed while it was being sent; the upload is cancelled."""
