"""The rights that an open request and a completion have to an upload.

Rule 1: a right that ends later than the settings allow was given under another clock or
another setting, for example before the clock was set back or a time was shortened. It counts as
over; otherwise it could block an upload for hours. `latest_end` computes the limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from wherry.core.ranges import Range

#: How far the times that two requests work with may be apart, in seconds. A request reads the
#: clock once, may then wait for the disk or the database, and decides by the time that it has read.
CLOCK_TOLERANCE = 30.0


def latest_end(now: float, longest: float) -> float:
    """The latest moment at which a right of at most `longest` seconds can end, seen at `now`."""
    return now + longest + CLOCK_TOLERANCE


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one open request to write a range. `at`: when the request began, or when its
    bytes last came.
    """

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
    """Calls of the application's hooks whose end no process has recorded.

    `lost`: how many in a row. A call is counted before it is made and forgotten when it ends, so
    that a hook which kills its process leaves a count behind. While a hook runs, its own call is
    counted as well. `at`: when the last call began.

    `is_orphaned`: another process has taken over from the one that made the last call, so that
    call does not run any more.
    """

    lost: int = 0
    at: float = 0.0
    is_orphaned: bool = False
