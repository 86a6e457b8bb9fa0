"""Parts that go to the object store directly: where to, and when to give that up.

Rule 1: no clock, no randomness, no I/O, as in `plan`. The twin of direct.ts; `tests/vectors`
(`direct.json`) says what both do.

Rule 2: whether a client reaches the store, nobody knows before it has tried: a firewall, a name
that does not resolve, for browsers a missing CORS rule. So the first failure is enough while
nothing has ever gone through; after that, several in a row are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from wherry.client.answers import Answer, parse_object, unexpected
from wherry.core.limits import MiB

#: So many requests to the store may fail in a row. Those that were under way together count once.
TRIES = 5
#: A larger part goes in chunks, because a part is in memory while it is sent. In bytes.
LARGEST_PART = 64 * MiB
#: How many parts one request may name.
MOST_PARTS = 100
#: Statuses of the store after which the same request may succeed later.
_LATER = frozenset({408, 425, 429, *range(500, 600)})

#: How a request to the store failed: without an answer, because the address has expired, or with
#: this status.
Failure = Literal["network", "expired"] | int


class DirectWay:
    """The way to the object store, as all uploads of a client have found it."""

    def __init__(self) -> None:
        self.is_open = True  #: Whether it is worth trying.
        self._has_passed = False
        self._failures = 0
        self._failed_at = float("-inf")

    def passed(self, began: float) -> None:
        """A part arrived. One that `began` before the last failure proves nothing."""
        self._has_passed = True
        if began >= self._failed_at:
            self._failures = 0

    def failed(self, failure: Failure, began: float, now: float) -> bool:
        """Whether to try the part again. Otherwise, it goes in chunks, and so does all else."""
        is_final = failure == "network" or (failure != "expired" and failure not in _LATER)
        if is_final and not self._has_passed:
            self.is_open = False
        if self._failures == 0 or began >= self._failed_at:
            self._failures += 1
            self._failed_at = now
        if self._failures >= TRIES:
            self.is_open = False
        return self.is_open


@dataclass(frozen=True, slots=True)
class PartAddress:
    """Where to send the bytes of a part."""

    url: str
    method: str
    headers: Mapping[str, str]


def failure_of(answer: Answer) -> Failure:
    """Of an answer of the store with a status of 300 or more."""
    is_expired = answer.status == 403 and b"expired" in answer.body.lower()
    return "expired" if is_expired else answer.status


def parse_addresses(answer: Answer) -> dict[int, PartAddress]:
    """By the numbers of their parts. Raises `UnexpectedAnswer`."""
    try:
        return {
            int(part["number"]): PartAddress(
                _url(part["url"]), str(part["method"]), dict(part["headers"])
            )
            for part in parse_object(answer)["parts"]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise unexpected(answer) from error


def _url(text: object) -> str:
    if not isinstance(text, str) or urlsplit(text).scheme not in ("http", "https"):
        raise ValueError(text)
    return text
