"""The rights that an open request, and whoever completes, have to an upload.

Rule 1: a right that ends later than a setting allows was given by another clock or another
setting, and is over. `latest` says from when on.
"""

from __future__ import annotations

from dataclasses import dataclass

from wherry.core.ranges import Range

#: How far the clock may have gone on for one request, in seconds, when another decides by a
#: moment that it read before it waited for the disk or the database.
APART = 30.0


def latest(now: float, longest: float) -> float:
    """Until when a right of `longest` seconds may have been given, as seen at `now`."""
    return now + longest + APART


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one open request to a range; `at`: when it was taken."""

    token: str
    range: Range
    at: float


@dataclass(frozen=True, slots=True)
class Completion:
    """Who is completing, and until when nobody else may."""

    token: str
    until: float


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of the application's hooks whose end no process has recorded; `at`: the last one's.

    `is_orphaned`: another process has taken over from the one that made the last call.
    """

    lost: int = 0
    at: float = 0.0
    is_orphaned: bool = False
