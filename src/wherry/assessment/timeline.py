"""Places the frames of one stream on the timeline of their file.

Rule 1: zero is the beginning of the file as a player shows it: the earliest timestamp of any
stream, or that of the first frame where the container has none.

Rule 2: time never runs back. Where timestamps still do after `stamps` has corrected them, the
next frame follows the one before it. The same holds for a step beyond the end of the file.

Rule 3: a frame without a timestamp follows the one before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.stream import Stream
from av.video.frame import VideoFrame

from wherry.assessment.media import duration_of, length, seconds

#: A smaller step back is imprecision of the container or of the decoder, in seconds.
BACK = 0.25
#: From here on a step forward may be an error rather than a pause, in seconds.
FORWARD = 10.0
#: Time stamps on the line are counted in microseconds.
TICK = Fraction(1, 1_000_000)


@dataclass(slots=True)
class Timeline:
    """Takes frames in the order in which they are shown; times are seconds from zero."""

    #: The time stamp that is zero; None: the first one that comes.
    zero: float | None = None
    #: How long a frame lasts that does not say so.
    usual: float = 0.0
    #: A step of more than `FORWARD` is a pause if it ends by here, else an error.
    pauses_until: float = math.inf
    start: float | None = None
    end: float = 0.0
    #: When the last frame begins and ends.
    latest: float = 0.0
    latest_end: float = 0.0
    _shift: float = 0.0

    def place(self, stamp: float | None, lasts: float = 0.0) -> float:
        """When the next frame begins; `stamp` is its time stamp in seconds, if it has one."""
        at = self.latest_end if stamp is None else self._shown(stamp)
        self.start = at if self.start is None else self.start
        self.latest = at
        self.latest_end = at + (lasts if lasts > 0 else self.usual)
        self.end = max(self.end, self.latest_end)
        return at

    def _shown(self, stamp: float) -> float:
        if self.zero is None:
            self.zero = stamp
        at = stamp - self.zero + self._shift
        step = at - self.latest_end
        is_back = self.start is not None and at < self.latest - BACK
        if is_back or (step > FORWARD and at > self.pauses_until):
            self._shift -= step
            return self.latest_end
        # What is before the beginning of the file is shown there.
        return max(at, self.latest)

    def take(self, frame: VideoFrame | AudioFrame) -> float:
        """Place the frame, and give it its time on the line as its time stamp."""
        lasts = duration_of(frame)
        at = self.place(stamp(frame), lasts)
        frame.pts, frame.time_base = round(at / TICK), TICK
        return at

    @property
    def length(self) -> float:
        """How long the stream is shown or heard."""
        return self.end - (self.start or 0.0)


def timeline_of(container: InputContainer, stream: Stream) -> Timeline:
    """The line on which the frames of `stream` will lie."""
    zero = None if container.start_time is None else container.start_time / 1_000_000
    rate = stream.average_rate if stream.type == "video" else None
    declared = length(container)
    until = math.inf if declared is None else declared + FORWARD
    return Timeline(zero, float(1 / rate) if rate else 0.0, until)


def stamp(frame: VideoFrame | AudioFrame) -> float | None:
    """The frame's time stamp in seconds, which is counted in ticks from now on."""
    if frame.pts is None or not frame.time_base:
        return None
    at = float(frame.pts * frame.time_base)
    frame.pts, frame.time_base = round(at / TICK), TICK
    return at


def shown(at: float) -> float | None:
    """A time on the line as a report has it."""
    return seconds(at)
