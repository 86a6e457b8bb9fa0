"""Counts what one stream contains: packets, frames, damage, pauses; each with its basis.

Rule 1: a number from a header, or from the order of decoding, is never used as a count.

Rule 2: a gap in time alone is a pause. It counts as missing frames only if there is damage
beside it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from av.audio.frame import AudioFrame
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from wherry.assessment.codecs import codec_name
from wherry.assessment.declared import Basis
from wherry.assessment.media import Decoded, duration_of, is_cover, is_encrypted, seconds
from wherry.assessment.stamps import BACK

#: How many errors and gaps are listed for a stream; the counts have them all.
LISTED = 20
#: A pause between frames that is shorter is no gap, in seconds.
GAP = 0.25
#: A pause in the picture is so many times longer than what is before and behind it: a lower rate
#: is none.
PAUSE = 3.0
#: A stream in which so many frames follow each other at the same distance has a constant rate.
CONSTANT = 0.97
#: How many distances between frames are distinguished, and how many times are remembered.
DISTANCES, MAX_TIMES = 4096, 10_000
#: Damage so near to a hole in time is beside it, in seconds.
NEAR = 0.5
#: How many packets are searched for those that are shown before the first frame.
EARLY = 1000
#: How many frames may be shown behind the one that is decoded last.
REORDERED = 3
#: Codecs in which a packet may rightly bring no frame of its own.
UNCOUNTED = frozenset(("vp8", "vp9", "mpeg4", "msmpeg4v3", "vc1", "wmv3"))


@dataclass(slots=True)
class Lead:
    """The packets before the first frame that is shown, of a picture.

    A recording that was cut between key frames begins with pictures that need earlier ones,
    before its first key frame or behind it.
    """

    #: When the first key frame is shown, in the stream's time base.
    key: int | None = None
    #: When the first frame is shown.
    first: int | None = None
    #: Packets of which nothing came before there was a key frame.
    failed: int = 0
    _early: list[int] = field(default_factory=list)
    _sound: bool = True

    def take(self, packet: Any) -> None:
        """Note a packet."""
        if packet.is_keyframe and self.key is None:
            self.key = 0 if packet.pts is None else packet.pts
        if packet.pts is not None and not packet.is_discard and len(self._early) < EARLY:
            self._early.append(packet.pts)

    def show(self, stamp: int, is_damaged: bool) -> None:
        """A frame came out; `is_damaged` if there were errors by then."""
        if self.first is None:
            self.first, self._sound = stamp, not is_damaged

    @property
    def count(self) -> int:
        """How many pictures cannot be shown, and need not be missed."""
        if self.first is None or self.key is None:
            return self.failed
        # Without an error in between, what is not shown behind a key frame still refreshes.
        bound = self.first if self._sound else min(self.first, self.key)
        return sum(stamp < bound for stamp in self._early)


@dataclass(slots=True)
class Tally:
    """What one stream brought. `streamed`: its container has neither a beginning nor an end."""

    stream: Stream
    zero: float
    streamed: bool = False
    packets: int = 0
    read: int = 0
    discarded: int = 0
    frames: int = 0
    errors: int = 0
    damaged: int = 0
    unordered: int = 0
    untimed: int = 0
    interlaced: bool = False
    first_errors: list[dict[str, Any]] = field(default_factory=list)
    #: Where something is damaged, in order.
    damaged_at: list[float] = field(default_factory=list)
    gaps: list[tuple[float, float]] = field(default_factory=list)
    gap_count: int = 0
    #: Where the clock of the recording was set anew.
    resets: list[float] = field(default_factory=list)
    distances: Counter[int] = field(default_factory=Counter)
    start: float | None = None
    end: float | None = None
    #: Where the last packet ends, whether or not anything came of it.
    reached: float | None = None
    _lead: Lead = field(default_factory=Lead)
    _dts: float | None = None
    _shown: float | None = None
    _steps: tuple[float, float] = (0.0, 0.0)
    #: What is wrong with the last packet, or the last frame.
    _tail: Counter[str] = field(default_factory=Counter)
    _last_timestamp: float | None = None
    _last_damaged: int = 0
    _shift: float = 0.0

    def take(self, packet: Packet[Any], decoded: Decoded) -> None:
        """Count a packet and what came out of it."""
        error, timestamp = decoded.error, None
        if packet.pts is not None:
            timestamp = float(packet.pts * packet.time_base) + decoded.shift
        if packet.size or packet.dts is not None:
            self.read += 1
        if packet.size:
            self.packets += 1
            self.discarded += packet.is_discard
            self._tail.clear()
            self._last_timestamp = timestamp
            self._follow(packet, timestamp, decoded.shift)
            self._lead.take(packet)
        if error is not None and self._is_before_the_first():
            self._lead.failed += 1
        elif error is not None:
            self.errors += 1
            self._tail["errors"] += 1
            self._note(timestamp, error)
        elif packet.is_corrupt and self.streamed:
            # Where transport streams were joined, the last packet before is marked, too.
            self._tail["marked"] += 1
            self._remember(timestamp)
        elif packet.is_corrupt:
            self.damaged += 1
            self._tail["short"] += 1
            self._note(timestamp, "the container marks this packet as damaged")
        for frame in decoded.frames:
            self.take_frame(frame)
        if decoded.shift != self._shift:
            self._shift = decoded.shift
            if self._shown is not None and len(self.resets) < LISTED:
                self.resets.append(self._shown)

    def _follow(self, packet: Packet[Any], timestamp: float | None, shift: float) -> None:
        if timestamp is not None:
            lasting = float((packet.duration or 0) * packet.time_base)
            self.reached = max(self.reached or timestamp, timestamp + lasting)
        if packet.dts is not None:
            dts = float(packet.dts * packet.time_base) + shift
            self.unordered += self._is_back(self._dts, dts)
            self._dts = dts

    def _is_back(self, before: float | None, now: float) -> bool:
        """Whether time goes back; a restart of the clock is reported in another way."""
        if before is None or now >= before:
            return False
        # Nor does it matter before the first frame of a recording that was cut.
        return not self.streamed or (self.frames > 0 and before - now <= BACK)

    def _is_before_the_first(self) -> bool:
        """Whether a recording that was begun between key frames has not come to one yet."""
        if not self.streamed or self.frames:
            return False
        return self.stream.type == "audio" or self._lead.key is None

    def take_frame(self, frame: Any) -> None:
        """Count one frame; subtitles have no time that could be checked."""
        self.frames += 1
        if not isinstance(frame, (VideoFrame, AudioFrame)) or is_cover(self.stream):
            return
        if frame.pts is None or frame.time_base is None:
            self.untimed += 1
            return
        shown = float(frame.pts * frame.time_base)
        if isinstance(frame, VideoFrame):
            self.interlaced |= frame.interlaced_frame
            self._lead.show(frame.pts, bool(self.errors))
        if frame.is_corrupt and self.streamed and self.frames == 1:
            self._lead.failed += 1
        elif frame.is_corrupt:
            self.damaged += 1
            self._last_damaged = self.frames
            is_last = self._last_timestamp is not None and abs(shown - self._last_timestamp) < 1e-3
            self._tail["frames"] += is_last
            self._note(shown, "the frame is damaged")
        self._measure(shown, isinstance(frame, VideoFrame))
        self.start = shown if self.start is None else min(self.start, shown)
        self.end = max(self.end or shown, shown + duration_of(frame))

    def _measure(self, shown: float, is_picture: bool) -> None:
        """How far it is from the frame before, and whether there was a pause."""
        self.unordered += self._is_back(self._shown, shown)
        if self._shown is not None and len(self.distances) < DISTANCES:
            self.distances[round((shown - self._shown) * 1000)] += 1
        if self.end is not None and not is_picture and shown - self.end > GAP:
            self._pause(self.end, shown)
        if self._shown is not None and is_picture and shown > self._shown:
            step, (before, last) = shown - self._shown, self._steps
            # The step before this one is judged: now both its neighbours are known.
            around = max(before, step)
            if last - around > GAP and last > PAUSE * around:
                self._pause(self._shown - last + (before or step), self._shown)
            self._steps = (last, step)
        if self._shown is None or shown > self._shown:
            self._shown = shown

    def _pause(self, start: float, end: float) -> None:
        self.gap_count += 1
        if len(self.gaps) < MAX_TIMES:
            self.gaps.append((start, end))

    def _remember(self, timestamp: float | None) -> None:
        at = timestamp if timestamp is not None else self._shown
        if at is not None and len(self.damaged_at) < MAX_TIMES:
            self.damaged_at.append(at)

    def _note(self, timestamp: float | None, message: str) -> None:
        self._remember(timestamp)
        if len(self.first_errors) < LISTED:
            time = None if timestamp is None else seconds(timestamp - self.zero)
            self.first_errors.append({"time": time, "message": message})

    def skip(self) -> None:
        """Bytes before the packet that came last made no sense."""
        self._remember(self._last_timestamp)

    def finish(self) -> bool:
        """Nothing more comes. Whether a stream that was cut off ends in the middle of a frame."""
        _, last = self._steps
        before = self._steps[0]
        if self._shown is not None and before and last - before > GAP and last > PAUSE * before:
            self._pause(self._shown - last + before, self._shown)
        # Without a time, a packet cannot be distinguished from those that are shown behind it.
        behind = 0 if self._last_timestamp is not None else REORDERED
        if self._last_damaged and self.frames - self._last_damaged <= behind:
            self._tail["frames"] = max(self._tail["frames"], 1)
        # Where the size of the whole is not known, the last packet is what was left.
        self.damaged -= self._tail["short"]
        cut = self.streamed and self._tail.total() > 0
        if cut:
            self.errors -= self._tail["errors"]
            self.damaged -= self._tail["frames"]
        if self.errors + self.damaged < len(self.first_errors):
            del self.first_errors[self.errors + self.damaged :]
        return cut

    @property
    def leading(self) -> int:
        """Pictures at the beginning that need earlier ones, which the file does not have."""
        return self._lead.count

    def missing(self, declared: int | None, damaged: Sequence[float]) -> tuple[int, Basis] | None:
        """How many frames are missing and what that rests on, where it can be known.

        `declared` is how many packets an index has, `damaged` where anything is damaged in
        the file, in order.
        """
        name = codec_name(self.stream)
        if name is None or self.stream.type != "video" or is_cover(self.stream):
            return None
        unread = max(declared - self.read, 0) if declared is not None else 0
        undecoded = 0
        if name not in UNCOUNTED and not self.interlaced:
            undecoded = max(self.packets - self.discarded - self.leading - self.frames, 0)
        estimated = self._missing_in_time(damaged)
        if estimated > undecoded + unread:
            return estimated, "estimated"
        return undecoded + unread, "declared" if unread > undecoded else "counted"

    def _missing_in_time(self, damaged: Sequence[float]) -> int:
        """How many frames of a constant rate fit into the holes beside which there is damage."""
        total = self.distances.total()
        if total < 10 or not damaged:
            return 0
        ((usual, _),) = self.distances.most_common(1)
        regular = sum(n for d, n in self.distances.items() if abs(d - usual) <= 0.2 * usual)
        if usual <= 0 or regular < CONSTANT * total:
            return 0
        beside = (gap for gap in self.gaps if _is_beside(gap, damaged))
        return sum(round(1000 * (end - start) / usual) for start, end in beside)

    def render(self, missing: tuple[int, Basis] | None) -> dict[str, Any]:
        """The tally as a report has it."""
        count, basis = missing or (None, None)
        return {
            "index": self.stream.index,
            "type": self.stream.type,
            "codec": codec_name(self.stream),
            "encrypted": is_encrypted(self.stream),
            "packets": self.packets,
            "frames": self.frames,
            "leading": self.leading,
            "missing": count,
            "missing_basis": basis,
            "errors": self.errors,
            "damaged": self.damaged,
            "first_errors": self.first_errors,
            "unordered": self.unordered,
            "untimed": self.untimed,
            "gaps": [[self._told(at) for at in gap] for gap in self.gaps[:LISTED]],
            "gap_count": self.gap_count,
            "resets": [self._told(at) for at in self.resets],
            "start": self._told(self.start),
            "end": self._told(self.end),
        }

    def _told(self, at: float | None) -> float | None:
        return None if at is None else seconds(at - self.zero)


def _is_beside(gap: tuple[float, float], damaged: Sequence[float]) -> bool:
    at = bisect_left(damaged, gap[0] - NEAR)
    return at < len(damaged) and damaged[at] <= gap[1] + NEAR
