"""Stretches of time in which something is so, put together from what single frames say.

Rule 1: a stretch that is still going on where the stream ends, ends there.

Rule 2: memory does not grow with the number of stretches: so many are listed,
all are counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from wherry.assessment.media import duration_of, seconds

#: How many stretches are listed; `count` has them all.
LISTED = 200


@dataclass(slots=True)
class Stretches:
    """What has been found so far; times as the stream counts them, in seconds."""

    #: A stretch that is shorter is none, in seconds.
    at_least: float = 0.0
    count: int = 0
    total: float = 0.0
    _listed: list[tuple[float, float]] = field(default_factory=list)
    _begun: float | None = None

    def begin(self, at: float) -> None:
        """It is so from now on, or has been for a while."""
        if self._begun is None:
            self._begun = at

    def end(self, at: float) -> None:
        """It is no longer so."""
        if self._begun is not None and at > self._begun and at - self._begun >= self.at_least:
            self.count += 1
            self.total += at - self._begun
            if len(self._listed) < LISTED:
                self._listed.append((self._begun, at))
        self._begun = None

    def mark(self, is_so: bool, at: float) -> None:
        """Whether it is so of the frame that begins now."""
        (self.begin if is_so else self.end)(at)

    def render(self, index: int, clock: Clock) -> dict[str, Any]:
        """The stretches as a report has them, of the stream with this index."""
        if clock.end is not None:
            self.end(clock.end)
        length = clock.length
        return {
            "stream": index,
            "ranges": [[clock.shown(start), clock.shown(end)] for start, end in self._listed],
            "count": self.count,
            "seconds": seconds(self.total),
            "share": round(min(self.total / length, 1.0), 4) if length > 0 else 0.0,
        }


def no_stretches() -> dict[str, Any]:
    """What a file without such a stream has."""
    return {"stream": None, "ranges": [], "count": 0, "seconds": 0.0, "share": 0.0}


@dataclass(slots=True)
class Clock:
    """Where a stream begins and ends, and what a player shows as zero, in seconds."""

    zero: float
    start: float | None = None
    end: float | None = None
    #: When the last frame is shown.
    latest: float = 0.0

    def take(self, frame: VideoFrame | AudioFrame) -> None:
        """A frame of the stream, which says when it is shown."""
        self.latest = at = float((frame.pts or 0) * (frame.time_base or 0))
        self.start = at if self.start is None else min(self.start, at)
        self.end = max(self.end or at, at + duration_of(frame))

    @property
    def length(self) -> float:
        return (self.end or 0.0) - (self.start or 0.0)

    def shown(self, at: float) -> float | None:
        """A time of the stream as a player shows it."""
        return seconds(at - self.zero)


@dataclass(frozen=True, slots=True)
class Marks:
    """The metadata keys under which a filter tells where a stretch begins and ends."""

    start: str
    end: str

    def read(self, told: Mapping[str, str], into: Stretches) -> None:
        """Take what the filter wrote to one frame. An end comes before the next beginning."""
        if (end := finite(told.get(self.end))) is not None:
            into.end(end)
        if (start := finite(told.get(self.start))) is not None:
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
