"""What came of one request, whoever made it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class End(StrEnum):
    """How an exchange ended."""

    ANSWER = "answer"
    RESET = "reset"  #: The connection was reset.
    CLOSED = "closed"  #: It was closed without an answer.
    TIMEOUT = "timeout"  #: No answer in time.
    GARBLED = "garbled"  #: What came is not HTTP.
    UNREACHABLE = "unreachable"  #: There was no connection.


@dataclass(slots=True)
class Reply:
    """What came of a request. Headers by lower-case name; times in seconds since its start."""

    end: End = End.TIMEOUT
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    interim: tuple[int, ...] = ()
    sent: int = 0
    #: Answered, or ended, before all that was announced was sent. None: a browser cannot tell.
    is_early: bool | None = False
    at: float = 0.0  #: When the answer began, or the exchange ended without one.
    over_at: float = 0.0  #: When the last byte came.
    http: str = "1.1"
    problem: str | None = None
