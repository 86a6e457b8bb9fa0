"""Stretches of time with a property (black, frozen, silent), built from single frames.

Rule 1: stretches come in order, do not overlap, and lie between the beginning and the end of
their stream, whatever the frames contain.

Rule 2: a stretch that has not ended when the stream ends, ends there.

Rule 3: memory does not grow with the number of stretches: a limited number is listed, all are
counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wherry.assessment.media import seconds
from wherry.assessment.timeline import Timeline

#: How many stretches are listed; `count` has them all.
LISTED = 200
#: Reports have milliseconds: shorter ones cannot be stated, and times may differ by as much.
SHORTEST = 1e-3


@dataclass(slots=True)
class Stretches:
    """What has been found so far, in seconds on the file's time line."""

    #: A stretch that is shorter is none, in seconds.
    at_least: float = 0.0
    #: Where the stream begins: a filter that joins frames which overlap counts back beyond it.
    not_before: float = 0.0
    _listed: list[tuple[float, float]] = field(default_factory=list)
    _count: int = 0
    _total: float = 0.0
    _longest: float = 0.0
    _begun: float | None = None
    #: The last stretch that has ended, and whether the next one may be its continuation.
    _last: tuple[float, float] | None = None
    _may_go_on: bool = False

    def begin(self, at: float) -> None:
        """It is so from now on, or has been for a while."""
        if self._begun is not None:
            return
        last_end = self._last[1] if self._last else self.not_before
        self._begun = max(at, last_end)
        if self._last and self._may_go_on and at - last_end < SHORTEST:
            self._begun, self._last = self._last[0], None

    def end(self, at: float, may_go_on: bool = False) -> None:
        """It is no longer so; if it `may_go_on`, a stretch that begins right here continues it."""
        if self._begun is None:
            return
        start, self._begun = self._begun, None
        if at - start >= max(self.at_least - SHORTEST, SHORTEST):
            self._settle()
            self._last, self._may_go_on = (start, at), may_go_on

    def mark(self, is_so: bool, at: float) -> None:
        """Whether it is so of the frame that begins now."""
        (self.begin if is_so else self.end)(at)

    def _settle(self) -> None:
        if self._last is None:
            return
        length = self._last[1] - self._last[0]
        self._count += 1
        self._total += length
        self._longest = max(self._longest, length)
        if len(self._listed) < LISTED:
            self._listed.append(self._last)
        self._last = None

    def render(self, index: int, line: Timeline) -> dict[str, Any]:
        """The stretches as a report has them, of the stream with this index and time line."""
        self.end(line.end)
        self._settle()
        return {
            "stream": index,
            "ranges": [[seconds(start), seconds(end)] for start, end in self._listed],
            "count": self._count,
            "seconds": seconds(self._total),
            "share": _share(self._total, line.length),
            "longest_share": _share(self._longest, line.length),
        }


def _share(part: float, whole: float) -> float:
    return round(min(part / whole, 1.0), 4) if whole > 0 else 0.0


def no_stretches() -> dict[str, Any]:
    """What a file without such a stream has."""
    none = {"count": 0, "seconds": 0.0, "share": 0.0, "longest_share": 0.0}
    return {"stream": None, "ranges": [], **none}


@dataclass(frozen=True, slots=True)
class Marks:
    """The metadata keys under which a filter reports the beginning and the end of a stretch."""

    start: str
    end: str

    def read(self, metadata: Mapping[str, str]) -> tuple[float | None, float | None]:
        """Where a stretch begins and where one ends, as the filter wrote it to one frame."""
        return finite(metadata.get(self.start)), finite(metadata.get(self.end))

    def take(self, metadata: Mapping[str, str], into: Stretches, may_go_on: bool = False) -> None:
        """Take what the filter wrote to one frame; `may_go_on` as in `Stretches.end`.

        A filter may find out on the frame behind a stretch that there was one, and so
        write both marks of it to this frame. Where the end is not behind the beginning,
        one stretch ends and another one begins.
        """
        start, end = self.read(metadata)
        if start is not None and end is not None and start < end:
            into.begin(start)
            into.end(end, may_go_on)
            return
        if end is not None:
            into.end(end, may_go_on)
        if start is not None:
            into.begin(start)


def finite(text: str | None) -> float | None:
    """A number that a filter wrote; None for `nan`, `inf`, or no number."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
