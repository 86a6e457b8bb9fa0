"""The rights that an open request and a completion have to an upload.

Rule 1: a right that ends later than the settings allow was given under another clock or
another setting, and is treated as over. `latest_end` computes the limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from wherry.core.ranges import Range

#: How much two requests may differ about what time it is, in seconds: a request reads the
#: clock, then waits for the disk or the database, and decides by what it has read.
CLOCK_TOLERANCE = 30.0


def latest_end(now: float, longest: float) -> float:
    """The latest moment at which a right of at most `longest` seconds can end, seen at `now`."""
    return now + longest + CLOCK_TOLERANCE


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one open request to write a range; `at`: when it was taken."""

    token: str
    range: Range
    at: float


@dataclass(frozen=True, slots=True)
class Completion:
    """The right to complete an upload; it ends at `until` unless it is renewed."""

    token: str
    until: float


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of hooks whose end no process has recorded; `at`: when the last one began.

    `is_orphaned`: another process has taken over from the one that made the last call.
    """

    lost: int = 0
    at: float = 0.0
    is_orphaned: bool = False
