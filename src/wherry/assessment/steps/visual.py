"""What the picture looks like: black, frozen, blurred, cuts, levels, interlace; and its sheets.

Rule 1: the video is decoded once, and one chain of filters looks at it, scaled
down. Interlace is looked for in a strip of full height: scaling would mend it.

Rule 2: the filters see pictures of one shape. A file may change its shape
half-way.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from wherry.assessment.context import Context
from wherry.assessment.media import frames, moving_picture, open_media, origin
from wherry.assessment.sheets import Samples, write_sheets
from wherry.assessment.stretches import Clock, Marks, Stretches, finite, no_stretches

#: The width at which pictures are looked at; smaller details do not matter.
WIDTH = 320
#: With fewer lines, nothing was ever interlaced.
LINES = 100
#: How many cuts are listed; `count` has them all.
LISTED = 500
#: FFmpeg's measure of blur, at that width, from which on a picture counts as blurred.
BLURRED = 8.0

#: Dark below a tenth of the range of brightness, for a tenth of a second at least.
BLACK = Marks("lavfi.black_start", "lavfi.black_end")
#: Pictures that differ by less than -60 dB, for half a second at least.
FREEZE = Marks("lavfi.freezedetect.freeze_start", "lavfi.freezedetect.freeze_end")
EVERY_PICTURE = (
    ("blackdetect", "d=0.1:pic_th=0.98:pix_th=0.10"),
    ("freezedetect", "n=0.001:d=0.5"),
    ("scdet", "t=10"),
)
#: What costs most is not asked of every picture, but after so many seconds.
PACE = 0.1
NOW_AND_THEN = (
    ("blurdetect", ""),
    # EBU R 103 lets brightness stray from 5 to 246. The filter behind this one counts what is
    # outside of 16 to 235, and colours, too.
    ("lutyuv", "y=if(between(val\\,5\\,246)\\,128\\,0):u=128:v=128"),
    ("signalstats", "stat=brng"),
)


def measure(context: Context) -> dict[str, Any]:
    """Stretches, cuts and averages, in seconds; draws the sheets. Raises `Unreadable`."""
    seen = find(context.file)
    if seen.size is not None:
        write_sheets(context, seen.samples, seen.size, seen.rotation, seen.end)
    return seen.facts


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found, and what the sheets are drawn from; `size` is None without a picture."""

    facts: dict[str, Any]
    samples: Samples = field(default_factory=Samples)
    size: tuple[float, float] | None = None
    rotation: int = 0
    end: float = 0.0


def find(file: str) -> Seen:
    """Look at every picture. Raises `Unreadable`."""
    with open_media(file) as container:
        stream = moving_picture(container)
        if stream is None:
            return Seen({"black": no_stretches(), "freeze": no_stretches()})
        clock, samples = Clock(origin(container)), Samples()
        picture, interlace = _Picture(clock), _Interlace()
        size, rotation = None, 0
        for frame in frames(container, stream):
            if size is None:
                aspect = float(stream.sample_aspect_ratio or 1)
                size, rotation = (frame.width * aspect, float(frame.height)), int(frame.rotation)
            small = picture.take(frame)
            samples.take(clock.latest - clock.zero, small)
            interlace.take(frame)
        facts = {**picture.render(stream.index), "interlace": interlace.render()}
        return Seen(facts, samples, size, rotation % 360, (clock.end or clock.zero) - clock.zero)


@dataclass(slots=True)
class _Average:
    """Of numbers as they come."""

    total: float = 0.0
    count: int = 0

    def take(self, value: float | None) -> None:
        if value is not None:
            self.total += value
            self.count += 1

    def render(self) -> float | None:
        return round(self.total / self.count, 4) if self.count else None


@dataclass(slots=True)
class _Picture:
    """The chain of filters, and what they have said so far."""

    clock: Clock
    black: Stretches = field(default_factory=Stretches)
    freeze: Stretches = field(default_factory=Stretches)
    blur: Stretches = field(default_factory=lambda: Stretches(at_least=0.5))
    cuts: list[float | None] = field(default_factory=list)
    cut_count: int = 0
    blurs: _Average = field(default_factory=_Average)
    outside: _Average = field(default_factory=_Average)
    worst: tuple[float, float] | None = None
    _every: Graph | None = None
    _sampled: Graph | None = None
    _next: float = -math.inf
    _size: tuple[int, int] = (0, 0)
    # One for all pictures: to prepare for a shape takes longer than to scale.
    _scale: VideoReformatter = field(default_factory=VideoReformatter)

    def take(self, frame: VideoFrame) -> VideoFrame:
        """Look at the next picture; returns it scaled down."""
        self.clock.take(frame)
        if self._every is None or self._sampled is None:
            height = round(frame.height * WIDTH / frame.width / 2) * 2
            self._size = (WIDTH, min(max(height, 16), 4 * WIDTH))
            self._every, self._sampled = (
                _chain(frame, self._size, filters) for filters in (EVERY_PICTURE, NOW_AND_THEN)
            )
        # One thread: starting more for every picture costs more than they save.
        small = self._scale.reformat(
            frame, *self._size, "yuv420p", interpolation="AREA", dst_color_range="MPEG", threads=1
        )
        small.pts, small.time_base = frame.pts, frame.time_base
        self._every.push(small)
        self._note(self._every)
        at = self.clock.latest
        if not self._next - PACE <= at < self._next:
            self._next = at + PACE - 1e-3
            self._sampled.push(small)
            self._note_sample(self._sampled)
        return small

    def _note(self, chain: Graph) -> None:
        for frame in pulled(chain):
            told = frame.metadata
            BLACK.read(told, self.black)
            FREEZE.read(told, self.freeze)
            if "lavfi.scd.time" in told:
                self.cut_count += 1
                if len(self.cuts) < LISTED:
                    self.cuts.append(self.clock.shown(float(frame.pts * frame.time_base)))

    def _note_sample(self, chain: Graph) -> None:
        for frame in pulled(chain):
            told, at = frame.metadata, float(frame.pts * frame.time_base)
            blur = finite(told.get("lavfi.blur"))
            self.blurs.take(blur)
            self.blur.mark(blur is not None and blur >= BLURRED, at)
            outside = finite(told.get("lavfi.signalstats.BRNG"))
            self.outside.take(outside)
            if outside is not None and (self.worst is None or outside > self.worst[0]):
                self.worst = (outside, at)

    def render(self, index: int) -> dict[str, Any]:
        """Everything, once there is no further picture."""
        if self._every is not None and self._sampled is not None:
            self._every.push(None)
            self._note(self._every)
            self._sampled.push(None)
            self._note_sample(self._sampled)
        worst, at = self.worst or (None, None)
        return {
            "black": self.black.render(index, self.clock),
            "freeze": self.freeze.render(index, self.clock),
            "scenes": {"count": self.cut_count, "cuts": self.cuts},
            "blur": {**self.blur.render(index, self.clock), "mean": self.blurs.render()},
            "luma": {
                "outside": self.outside.render(),
                "worst": None if worst is None else round(worst, 4),
                "worst_time": None if at is None else self.clock.shown(at),
            },
        }


def _chain(frame: VideoFrame, size: tuple[int, int], filters: Sequence[tuple[str, str]]) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=size[0], height=size[1], format=VideoFormat("yuv420p"), time_base=frame.time_base
    )
    nodes = [graph.add(*what) for what in filters]
    graph.link_nodes(source, *nodes, graph.add("buffersink")).configure()
    return graph


@dataclass(slots=True)
class _Interlace:
    """Whether lines of two moments stand in one picture, and which come first."""

    kinds: Counter[str] = field(default_factory=Counter)
    declared: int = 0
    _graph: Graph | None = None
    _shape: tuple[int, int, str] = (0, 0, "")

    def take(self, frame: VideoFrame) -> None:
        """Look at the next picture."""
        self.declared += frame.interlaced_frame
        if frame.height < LINES:
            return
        shape = (frame.width, frame.height, frame.format.name)
        if self._graph is None or shape != self._shape:
            self._shape, self._graph = shape, _strip(frame)
        self._graph.push(frame)
        self._count(self._graph)

    def _count(self, graph: Graph) -> None:
        told = (frame.metadata for frame in pulled(graph))
        self.kinds.update(facts.get("lavfi.idet.multiple.current_frame", "") for facts in told)

    def render(self) -> dict[str, Any]:
        """How many pictures of each kind; `share` is how far one order of lines prevails."""
        top, bottom, whole = (self.kinds[kind] for kind in ("tff", "bff", "progressive"))
        known = top + bottom + whole
        return {
            "top_first": top,
            "bottom_first": bottom,
            "progressive": whole,
            "declared": self.declared,
            # What noise still brings about is either order, in turn.
            "share": round(abs(top - bottom) / known, 4) if known else 0.0,
        }


def _strip(frame: VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    strip = graph.add("crop", f"{WIDTH if frame.width > WIDTH else 'iw'}:ih")
    # At FFmpeg's own threshold of 1.04, noise passes for lines of two moments.
    look = graph.add("idet", "intl_thres=1.2")
    graph.link_nodes(source, strip, look, graph.add("buffersink")).configure()
    return graph


def pulled(graph: Graph) -> Iterator[Any]:
    """The frames that a chain of filters has let through."""
    while True:
        try:
            yield graph.pull()
        except (BlockingIOError, EOFError):
            return
