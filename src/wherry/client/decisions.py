"""What to do after an error: pure functions, the twin of decisions.ts.

Rule 1: `tests/vectors` names the decision for every answer, and the tests of both clients compare.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from wherry.client.errors import (
    BytesMissing,
    ClientError,
    ConnectionLost,
    NoRoom,
    Refused,
    ServerFailed,
    TimedOut,
    TooLarge,
    Unauthorized,
    UnexpectedAnswer,
    UploadGone,
)
from wherry.filters import FILTERED

#: Which request failed; `upload` is the whole file in one request.
Verb = Literal["init", "status", "chunk", "complete", "upload"]


class Next(Enum):
    STOP = "stop"
    """Raise the error."""
    RETRY = "retry"
    """Send the same again after a pause, until the timeout."""
    WAIT = "wait"
    """Send the same again after a pause, however long it takes."""
    LOOK = "look"
    """Wherry did not answer: ask what the server has before anything more is sent."""
    LINE = "line"
    """The upload is in the queue: ask for its status until it is admitted."""
    SMALLER = "smaller"
    """Send the same bytes in smaller requests: a whole file in chunks."""
    COMPLETE = "complete"
    """Every byte is there: ask for completion."""
    MISSING = "missing"
    """Ask for the status, and send what is missing."""
    ANEW = "anew"
    """Begin a new upload, once."""


#: Refusals for what is there already, or for all requests: they are no failures of this one.
LATER = ("busy", "overloaded", "rate-limited", "stopping")


def wants_fresh_headers(error: ClientError) -> bool:
    """Whether the request is sent again, once, with headers that its caller makes again.

    403 counts as well as 401: frameworks answer it to a token that is missing or has expired.
    """
    return isinstance(error, Unauthorized)


def what_next(error: ClientError, verb: Verb) -> Next:
    """What to do after the request `verb` ended with `error`."""
    too_large = isinstance(error, TooLarge) and error.facts.get("scope") != "file"
    if too_large and verb in ("chunk", "upload"):
        return Next.SMALLER
    if verb == "upload" and (after := _after_one_request(error)):
        return after
    if error.code == "upload-closed" and verb == "chunk":
        return Next.COMPLETE
    if isinstance(error, BytesMissing) and verb == "complete":
        return Next.MISSING
    # The upload was idle for too long. One that was cancelled or refused is not begun again.
    is_expired = isinstance(error, UploadGone) and error.facts.get("state") == "expired"
    if is_expired and verb != "upload":
        return Next.ANEW
    if verb == "chunk" and is_filtered(error):
        return Next.LOOK
    if not error.retryable:
        return Next.STOP
    if verb == "chunk" and error.code == "waiting":
        return Next.LINE
    if verb in ("chunk", "upload") and _is_not_from_wherry(error):
        return Next.LOOK
    return Next.WAIT if isinstance(error, NoRoom) or error.code in LATER else Next.RETRY


def may_hide_refusal(error: ClientError, after: Next) -> bool:
    """Whether a request that failed so was perhaps refused for its size.

    It was, if the server was there all the time. `after`: what `what_next` says.
    """
    return (
        isinstance(error, ConnectionLost)
        or is_filtered(error)
        or (after is Next.LOOK and isinstance(error, ServerFailed))
    )


def is_filtered(error: ClientError) -> bool:
    """Whether this may be the page of a filter that refuses the body: for its kind, or its size.

    It is, if the filter lets a request without such a body through. Otherwise, the login is
    refused.
    """
    return not error.code and error.status in FILTERED


def _after_one_request(error: ClientError) -> Next | None:
    """None where a whole file in one request is like any other request."""
    if isinstance(error, NoRoom):
        return Next.SMALLER  # Nothing was kept. Sending in chunks can wait.
    if isinstance(error, Refused) and error.status in (404, 405):
        return Next.SMALLER  # The server has only the chunked routes.
    if is_filtered(error):
        return Next.SMALLER  # If it is the login that is refused, so is `init`.
    # Every byte is kept, so only the handover is asked for again.
    is_kept = error.code == "hook-failed" and isinstance(error.facts.get("upload_id"), str)
    return Next.COMPLETE if is_kept else None


def _is_not_from_wherry(error: ClientError) -> bool:
    """The bytes may have arrived, and a proxy's error may hide Wherry's own answer."""
    return not error.code or isinstance(error, ConnectionLost | TimedOut | UnexpectedAnswer)
