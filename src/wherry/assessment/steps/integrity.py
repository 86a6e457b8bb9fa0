"""Whether everything in the file can be decoded: errors, missing frames, gaps, a missing end.

Rule 1: every stream is decoded to its end. A decoder hides most damage from a
viewer, so what counts is what it could not decode, marked as damaged, or never got.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from wherry.assessment.context import Context
from wherry.assessment.media import (
    decode,
    duration_of,
    is_cover,
    length,
    open_media,
    origin,
    seconds,
    when,
)

#: How many errors and gaps are listed for a stream; the counts have them all.
LISTED = 20
#: A pause between frames that is shorter is no gap, in seconds.
GAP = 0.25
#: A stream in which so many frames follow each other at the same distance has a constant rate.
CONSTANT = 0.97
#: How many different distances between frames are told apart.
DISTANCES = 4096
#: Codecs in which a packet may rightly bring no frame of its own.
UNCOUNTED = frozenset({"vp8", "vp9", "libvpx", "libvpx-vp9", "mpeg4", "msmpeg4v3", "vc1", "wmv3"})


def measure(context: Context) -> dict[str, Any]:
    """Counts and places of damage for each stream, in seconds. Raises `Unreadable`."""
    with open_media(context.file) as container:
        zero = origin(container)
        tallies = {stream.index: Tally(stream, zero) for stream in container.streams}
        lost, unannounced = None, 0
        for decoded in decode(container, *container.streams):
            if decoded.packet is None:
                lost = decoded.error
                unannounced += decoded.error is None
                continue
            tally = tallies[decoded.packet.stream.index]
            tally.take(decoded.packet, decoded.error)
            for frame in decoded.frames:
                tally.take_frame(frame)
        facts = _sum_up(container, [tally.render() for tally in tallies.values()])
        facts["errors"] += lost is not None
        return {**facts, "unreadable_from": lost, "unannounced": unannounced}


@dataclass(slots=True)
class Tally:
    """What one stream brought."""

    stream: Stream
    zero: float
    packets: int = 0
    discarded: int = 0
    frames: int = 0
    errors: int = 0
    damaged: int = 0
    unordered: int = 0
    untimed: int = 0
    first_errors: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[list[float | None]] = field(default_factory=list)
    gap_count: int = 0
    distances: Counter[int] = field(default_factory=Counter)
    start: float | None = None
    end: float | None = None
    dts: int | None = None
    shown: float | None = None

    def take(self, packet: Packet[Any], error: str | None) -> None:
        """Count one packet."""
        if packet.size:
            self.packets += 1
            self.discarded += packet.is_discard
            if packet.dts is not None:
                self.unordered += self.dts is not None and packet.dts < self.dts
                self.dts = packet.dts
        place = when(packet.pts, packet.time_base, self.zero)
        if error is not None:
            self.errors += 1
            self._note(place, error)
        elif packet.is_corrupt:
            self.damaged += 1
            self._note(place, "the container marks this packet as damaged")

    def take_frame(self, frame: Any) -> None:
        """Count one frame; subtitles have no place in time that could be checked."""
        self.frames += 1
        if not isinstance(frame, (VideoFrame, AudioFrame)):
            return
        stamp = frame.pts
        if stamp is None or frame.time_base is None:
            self.untimed += 1
            return
        shown = float(stamp * frame.time_base)
        if frame.is_corrupt:
            self.damaged += 1
            self._note(seconds(shown - self.zero), "the frame is damaged")
        if self.end is not None and shown - self.end > GAP and not is_cover(self.stream):
            self.gap_count += 1
            if len(self.gaps) < LISTED:
                self.gaps.append([seconds(self.end - self.zero), seconds(shown - self.zero)])
        self.unordered += self.shown is not None and shown < self.shown
        if self.shown is not None and len(self.distances) < DISTANCES:
            self.distances[round((shown - self.shown) * 1000)] += 1
        self.shown = shown
        self.start = shown if self.start is None else min(self.start, shown)
        self.end = max(self.end or shown, shown + self._duration(frame))

    def _duration(self, frame: VideoFrame | AudioFrame) -> float:
        rate = self.stream.average_rate if isinstance(frame, VideoFrame) else None
        return duration_of(frame) or (float(1 / rate) if rate else 0.0)

    def _note(self, place: float | None, message: str) -> None:
        if len(self.first_errors) < LISTED:
            self.first_errors.append({"time": place, "message": message})

    @property
    def missing(self) -> int | None:
        """How many frames are missing, where that can be known."""
        context = self.stream.codec_context
        if context is None or self.stream.type != "video" or is_cover(self.stream):
            return None
        undecoded = self.packets - self.discarded - self.frames
        unread = self.stream.frames - self.packets if self.stream.frames else 0
        counted = 0 if context.name in UNCOUNTED else max(undecoded, 0) + max(unread, 0)
        return max(counted, self._missing_in_time())

    def _missing_in_time(self) -> int:
        """How many frames fit into the holes of a stream with a constant rate."""
        total = self.distances.total()
        if total < 10:
            return 0
        ((usual, _),) = self.distances.most_common(1)
        regular = sum(n for d, n in self.distances.items() if abs(d - usual) <= 0.2 * usual)
        if usual <= 0 or regular < CONSTANT * total:
            return 0
        # Steps back count, too: frames in the wrong order are not missing.
        return max(sum((round(d / usual) - 1) * n for d, n in self.distances.items()), 0)

    def render(self) -> dict[str, Any]:
        """The tally as a report has it."""
        context = self.stream.codec_context
        return {
            "index": self.stream.index,
            "type": self.stream.type,
            "codec": context.name if context else None,
            "packets": self.packets,
            "frames": self.frames,
            "missing": self.missing,
            "errors": self.errors,
            "damaged": self.damaged,
            "first_errors": self.first_errors,
            "unordered": self.unordered,
            "untimed": self.untimed,
            "gaps": self.gaps,
            "gap_count": self.gap_count,
            "start": seconds(None if self.start is None else self.start - self.zero),
            "end": seconds(None if self.end is None else self.end - self.zero),
        }


def _sum_up(container: InputContainer, streams: list[dict[str, Any]]) -> dict[str, Any]:
    ends = {
        kind: [s["end"] for s in streams if s["type"] == kind and s["end"] is not None]
        for kind in ("video", "audio")
    }
    declared = seconds(length(container))
    decoded = max((end for of_kind in ends.values() for end in of_kind), default=0.0)
    apart = max(ends["video"]) - max(ends["audio"]) if ends["video"] and ends["audio"] else None
    missing = sum(s["missing"] or 0 for s in streams)
    return {
        "streams": streams,
        "errors": sum(s["errors"] for s in streams),
        "damaged": sum(s["damaged"] for s in streams),
        "missing": missing,
        "expected": missing + sum(s["frames"] for s in streams if s["missing"] is not None),
        "declared_seconds": declared,
        "decoded_seconds": decoded,
        "missing_seconds": seconds(max((declared or 0.0) - decoded, 0.0)),
        "video_longer_by": seconds(apart),
    }
