"""The rights that an open request, and whoever completes, have to an upload."""

from __future__ import annotations

from dataclasses import dataclass

from wherry.core.ranges import Range


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
    """Calls of the application's hooks whose end no process has recorded; `at`: the last one's."""

    lost: int = 0
    at: float = 0.0
