"""The errors that the client raises.

Rule 1: the type says what to do, the fields say why. `status`, `code`, `hint` and `facts` come from
the server's answer, or are made here if there was none.

Rule 2: only a refusal for size has "413" or "too large" in its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class ClientError(Exception):
    """The base of all errors. `retryable`: the same request may succeed later.

    `status` is the HTTP status, None without an answer; `retry_after` is in
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
    """The connection broke before the answer. The bytes sent may have arrived or not."""


class TimedOut(ClientError):
    """No byte moved on the connection for the idle timeout."""


class GaveUp(ClientError):
    """There was no progress for `patience` seconds. `__cause__` is the last error."""


# The server, or a proxy in front of it, refused.


class Unauthorized(ClientError):
    """401 or 403, also with fresh headers."""


class Refused(ClientError):
    """Any other 4xx: the request, its content or its type is not accepted."""


class ServerFailed(ClientError):
    """5xx: the server failed, or a proxy did not reach it."""


class NotFound(Refused):
    """There is nothing at this address, or it belongs to another user."""


class NotAssessed(NotFound):
    """Wherry assesses nothing here: the application processes its uploads itself."""


class WorkerFails(ClientError):
    """The upload is complete and safe, but no worker can assess it; the text says why."""


class UploadGone(ClientError):
    """The upload was cancelled, has expired or has failed: its bytes are deleted."""


class BytesMissing(Refused):
    """Completion was asked for too early."""


class TooLarge(ClientError):
    """The server does not accept a file of this size, or a proxy not even the smallest chunk."""


class NoSpace(ClientError):
    """507: the file can never fit into the server's space."""


class NoRoom(ClientError):
    """The server is full at the moment. The client waits, and does not raise this."""


class Busy(Refused):
    """Another request is receiving or completing the upload at the moment."""


class UnexpectedAnswer(ClientError):
    """The answer is not from Wherry. Most often the address is wrong."""


# Errors of this side.


class FileChanged(ClientError):
    """The file changed while it was being sent; the upload is cancelled."""


class StoppedEarly(ClientError):
    """`on_early` has stopped the upload because of the early verdict; the upload is cancelled."""
