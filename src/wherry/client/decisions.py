"""What an error means for what is done next: one pure function, the twin of decisions.ts.

Rule 1: `tests/vectors` says for every answer what follows from it, and both clients
are held to that.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from wherry.client.errors import (
    Busy,
    BytesMissing,
    ClientError,
    ConnectionLost,
    NoRoom,
    TimedOut,
    TooLarge,
    Unauthorized,
    UnexpectedAnswer,
    UploadGone,
)

#: Where in an upload the error came; `upload` is the whole file in one request.
Verb = Literal["init", "status", "chunk", "complete", "upload"]


class Next(Enum):
    STOP = "stop"
    """The error is the caller's."""
    RETRY = "retry"
    """The same again after a pause, while there is patience."""
    WAIT = "wait"
    """The same again after a pause, however long it takes."""
    LOOK = "look"
    """It did not come from Wherry: ask for the upload's status before anything more is sent."""
    LINE = "line"
    """It is not this upload's turn: ask for its status until it is."""
    SMALLER = "smaller"
    """The same bytes in smaller requests."""
    COMPLETE = "complete"
    """Every byte is there: ask for completion."""
    MISSING = "missing"
    """Ask for the status, and send what is missing."""
    ANEW = "anew"
    """Begin a new upload, once."""


def wants_fresh_headers(error: ClientError) -> bool:
    """Whether the request is sent again, once, with headers that its caller makes again.

    403 counts as well as 401: frameworks answer it to a token that is missing or has expired.
    """
    return isinstance(error, Unauthorized)


def what_next(error: ClientError, verb: Verb) -> Next:
    """What is to be done after `error` has come instead of the answer to `verb`."""
    too_large = isinstance(error, TooLarge) and error.facts.get("scope") != "file"
    if too_large and verb in ("chunk", "upload"):
        return Next.SMALLER
    if verb == "upload":
        return _after_one_request(error)
    if error.code == "upload-closed" and verb == "chunk":
        return Next.COMPLETE
    if isinstance(error, BytesMissing) and verb == "complete":
        return Next.MISSING
    # It was left alone for too long. If it was cancelled or refused, that is meant.
    if isinstance(error, UploadGone) and error.facts.get("state") == "expired":
        return Next.ANEW
    if not error.retryable:
        return Next.STOP
    if verb == "chunk" and error.code == "waiting":
        return Next.LINE
    if verb == "chunk" and _is_nobodys(error):
        return Next.LOOK
    return Next.WAIT if isinstance(error, NoRoom | Busy) else Next.RETRY


def _after_one_request(error: ClientError) -> Next:
    if isinstance(error, NoRoom):
        return Next.SMALLER  # Nothing was kept, and what sends chunks knows how to wait.
    # Every byte is kept; only the hand-over is to be asked for again.
    is_kept = error.code == "hook-failed" and isinstance(error.facts.get("upload_id"), str)
    return Next.COMPLETE if is_kept else Next.STOP


def _is_nobodys(error: ClientError) -> bool:
    """Its bytes may have arrived, and a proxy's error may hide what Wherry said."""
    return not error.code or isinstance(error, ConnectionLost | TimedOut | UnexpectedAnswer)
