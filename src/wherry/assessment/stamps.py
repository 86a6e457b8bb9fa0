"""The time at which each frame is shown, in order and on one clock, for every container.

Rule 1: frames leave a decoder in the order in which they are shown. A container may have
timestamps in decoding order, or none. The frames then get its timestamps in their own order.

Rule 2: the timestamps of a transport or program stream may restart in the middle of the file,
where recordings were joined or a channel was changed. The next frame then follows the last one.

Rule 3: a frame is not shown longer than the packets before it last together. Containers store
durations in decoding order: with B-frames, that of a long last picture is at another picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import heappop, heappush
from typing import Any

from av.audio.frame import AudioFrame
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

#: Containers whose packets do not say when they are shown, by FFmpeg's names.
UNSTAMPED = frozenset(("avi", "asf", "h264", "hevc", "m4v", "mpegvideo"))
#: Those in which a clock may be set anew.
RESET = frozenset(("mpegts", "mpeg"))
#: A clock that goes back by more, or ahead by more, was set anew; in seconds.
BACK, AHEAD = 0.5, 10.0
#: More packets than these never wait for their frames: what waits longer has none.
WAITING = 64


@dataclass(slots=True)
class Stamps:
    """The clock of one stream. `shift` is what its stamps are moved by, in seconds."""

    stream: Stream
    unstamped: bool
    resets: bool
    shift: float = 0.0
    #: Where the clock was set anew: the time there, and by how much it jumped.
    jumps: list[tuple[float, float]] = field(default_factory=list)
    _waiting: list[int] = field(default_factory=list)
    _packets: int = 0
    _lasting: int = 0
    #: When the first packet is decoded.
    _first: int | None = None
    _latest: int | None = None
    _nearest: int | None = None

    def take(self, packet: Packet[Any]) -> None:
        """A packet goes into the decoder."""
        self._lasting += packet.duration or 0
        begins = packet.pts if packet.dts is None else packet.dts
        self._first = begins if self._first is None else self._first
        if not self.unstamped or not packet.size:
            return
        stamp = packet.dts if packet.dts is not None else self._counted()
        self._packets += 1
        if stamp is not None:
            heappush(self._waiting, stamp)
            if len(self._waiting) > WAITING:
                heappop(self._waiting)

    def _counted(self) -> int | None:
        """The stamp of a packet by its number, at the stream's rate."""
        rate, base = self.stream.average_rate, self.stream.time_base
        return round(self._packets / rate / base) if rate and base else None

    def drop(self) -> None:
        """The decoder could make nothing of a packet."""
        if self._waiting:
            heappop(self._waiting)

    def place(self, frames: Iterable[Any], *, last: bool = False) -> None:
        """Give these frames their time and duration, in the stream's time base.

        `last`: they were in the decoder when the packets ended.
        """
        for frame in frames:
            if not isinstance(frame, (VideoFrame, AudioFrame)):
                continue
            if self._waiting:
                frame.pts = heappop(self._waiting)
            base = frame.time_base or self.stream.time_base
            # What a packet of sound has behind its first frame has no stamp.
            goes_on = last or isinstance(frame, AudioFrame)
            if goes_on and frame.pts is None and base:
                frame.time_base = base
                frame.pts = self._first or 0
                if self._latest is not None:
                    frame.pts = self._latest + self._usual(frame, base)
            if frame.pts is None or not base:
                continue
            if self.resets:
                self._go_on(frame, base)
            if isinstance(frame, VideoFrame):
                self._bound(frame, base)
            self._latest = frame.pts

    def _go_on(self, frame: Any, base: Any) -> None:
        frame.pts += round(self.shift / base)
        if self._latest is None:
            return
        step = float((frame.pts - self._latest) * base)
        if not -BACK <= step <= AHEAD:
            usual = self._usual(frame, base)
            self.jumps.append((float(self._latest * base), step))
            self.shift += float(usual * base) - step
            frame.pts = self._latest + usual

    def _usual(self, frame: Any, base: Any) -> int:
        if not isinstance(frame, VideoFrame):
            samples: int = round(Fraction(frame.samples, frame.sample_rate) / base)
            return samples
        rate = self.stream.average_rate
        return frame.duration or (round(1 / rate / base) if rate else 0)

    def _bound(self, frame: Any, base: Any) -> None:
        rate = self.stream.average_rate
        usual = round(1 / rate / base) if rate else 0
        if self._latest is not None and frame.pts > self._latest:
            near = frame.pts - self._latest
            self._nearest = near if self._nearest is None else min(self._nearest, near)
        lasting = frame.duration or usual
        if self.unstamped:
            # One number more is not one frame more where a container skips numbers.
            lasting = self._nearest or usual
        elif self._lasting and self._first is not None:
            room = self._first + self._lasting - frame.pts
            least = min(self._nearest or usual, usual or lasting)
            lasting = max(min(lasting, room), min(lasting, least))
        frame.duration = lasting
