"""The picture: black, frozen, blurred, cuts, levels, interlacing; and the contact sheet.

Rule 1: the video is decoded once, and one chain of filters reads it, scaled down. Interlacing
is detected in a strip of full height, because scaling removes it.

Rule 2: the filters receive pictures of one size and format. A file may change either half-way.

Rule 3: a picture that is shown as long as pictures of this video usually are is not frozen,
even at one picture a second.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from wherry.assessment.colours import know_matrix
from wherry.assessment.context import Context
from wherry.assessment.media import frames, moving_picture, open_media, steadily
from wherry.assessment.sheets import Samples, write_sheets
from wherry.assessment.stretches import SHORTEST, Marks, Stretches, finite, no_stretches
from wherry.assessment.timeline import TICK, Timeline, shown, timeline_of

#: The width to which pictures are scaled for the filters; smaller details do not matter.
WIDTH = 320
#: With fewer lines, nothing was ever interlaced.
LINES = 100
#: How many cuts are listed; `count` has them all.
LISTED = 500
#: FFmpeg's measure of blur, at that width, from which on a picture counts as blurred.
BLURRED = 8.0

#: Dark below a tenth of the range of brightness, for a tenth of a second at least. The filter
#: also marks what is shorter.
BLACK, SHORTEST_BLACK = Marks("lavfi.black_start", "lavfi.black_end"), 0.1
#: Pictures that differ by less than -60 dB, for half a second at least.
FREEZE, SHORTEST_FREEZE = (
    Marks("lavfi.freezedetect.freeze_start", "lavfi.freezedetect.freeze_end"),
    0.5,
)
#: A key frame that differs by less, on average and in percent, is the same still, coded anew.
SAME = 1.0
#: A single picture stands still if it is shown so many times as long as usual.
STAYS = 2.0
#: How many distances between pictures decide what is usual, and the least that is needed.
DISTANCES, ENOUGH = 31, 3
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
    return steadily(lambda threads: _look(file, threads))


def _look(file: str, threads: int) -> Seen:
    with open_media(file) as container:
        stream = moving_picture(container)
        if stream is None:
            return Seen({"black": no_stretches(), "freeze": no_stretches()})
        line, samples = timeline_of(container, stream), Samples()
        picture, interlace = _Picture(line), _Interlace()
        size, rotation = None, 0
        for frame in frames(container, stream, threads):
            if size is None:
                aspect = float(stream.sample_aspect_ratio or 1)
                size, rotation = (frame.width * aspect, float(frame.height)), int(frame.rotation)
            small = picture.take(frame)
            samples.take(line.latest, small)
            interlace.take(frame)
        facts = {
            "stream": stream.index,
            **picture.render(stream.index),
            "interlace": interlace.render(),
        }
        return Seen(facts, samples, size, rotation % 360, line.end)


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
    """The chain of filters, and their results so far."""

    line: Timeline
    black: Stretches = field(default_factory=lambda: Stretches(SHORTEST_BLACK))
    freeze: Stretches = field(default_factory=lambda: Stretches(SHORTEST_FREEZE))
    blur: Stretches = field(default_factory=lambda: Stretches(at_least=0.5))
    cuts: list[float | None] = field(default_factory=list)
    cut_count: int = 0
    blurs: _Average = field(default_factory=_Average)
    outside: _Average = field(default_factory=_Average)
    worst: tuple[float, float] | None = None
    _every: Graph | None = None
    _sampled: Graph | None = None
    _next: float = -math.inf
    _last: VideoFrame | None = None
    #: When the last picture that came out of the filters is shown, and how far apart pictures are.
    _at: float | None = None
    _early: list[tuple[float, Mapping[str, str], bool, bool]] | None = field(default_factory=list)
    _before: float | None = None
    _distances: deque[float] = field(default_factory=lambda: deque(maxlen=DISTANCES))
    _size: tuple[int, int] = (0, 0)
    # One for all pictures: to prepare for a shape takes longer than to scale.
    _scale: VideoReformatter = field(default_factory=VideoReformatter)

    def take(self, frame: VideoFrame) -> VideoFrame:
        """Look at the next picture; returns it scaled down."""
        at = self.line.take(frame)
        if self._every is None or self._sampled is None:
            height = round(frame.height * WIDTH / frame.width / 2) * 2
            self._size = (WIDTH, min(max(height, 16), 4 * WIDTH))
            self._every, self._sampled = (
                _chain(self._size, filters) for filters in (EVERY_PICTURE, NOW_AND_THEN)
            )
        # One thread: starting more for every picture costs more than they save.
        know_matrix(frame)
        small = self._scale.reformat(
            frame, *self._size, "yuv420p", interpolation="AREA", dst_color_range="MPEG", threads=1
        )
        small.pts, small.time_base = frame.pts, frame.time_base
        self._every.push(small)
        self._note(self._every)
        self._last = small
        if not self._next - PACE <= at < self._next:
            self._next = at + PACE - 1e-3
            self._sampled.push(small)
            self._note_sample(self._sampled)
        return small

    def _note(self, chain: Graph, is_last: bool = False) -> None:
        for frame in pulled(chain):
            metadata, at = frame.metadata, float(frame.pts * TICK)
            BLACK.take(metadata, self.black)
            if self._early is None:
                self._note_freeze(at, metadata, bool(frame.key_frame), is_last)
            else:
                self._early.append((at, metadata, bool(frame.key_frame), is_last))
            if "lavfi.scd.time" in metadata:
                self.cut_count += 1
                if len(self.cuts) < LISTED:
                    self.cuts.append(shown(at))
            if self._at is not None:
                self._distances.append(at - self._at)
            self._at = at
            if len(self._distances) >= ENOUGH or is_last:
                self._note_early()

    def _note_early(self) -> None:
        """Evaluate the first pictures, now that the distance between pictures is known."""
        early, self._early = self._early or [], None
        for each in early:
            self._note_freeze(*each)

    def _note_freeze(
        self, at: float, metadata: Mapping[str, str], is_key: bool, is_last: bool
    ) -> None:
        start, end = FREEZE.read(metadata)
        before, self._before = self._before, at
        if start is not None and before is not None and (end is not None or is_last):
            # Not several pictures that are alike, but one that was shown for long.
            is_single = abs(start - before) < SHORTEST
            if is_single and at - start <= STAYS * self._usual():
                return
        change = finite(metadata.get("lavfi.scd.mafd"))
        FREEZE.take(metadata, self.freeze, is_key and change is not None and change < SAME)

    def _usual(self) -> float:
        """The distance between pictures; by the header where there are only a few."""
        known = len(self._distances) >= ENOUGH
        return median(self._distances) if known else self.line.usual

    def _note_sample(self, chain: Graph) -> None:
        for frame in pulled(chain):
            metadata, at = frame.metadata, float(frame.pts * TICK)
            blur = finite(metadata.get("lavfi.blur"))
            self.blurs.take(blur)
            self.blur.mark(blur is not None and blur >= BLURRED, at)
            outside = finite(metadata.get("lavfi.signalstats.BRNG"))
            self.outside.take(outside)
            if outside is not None and (self.worst is None or outside > self.worst[0]):
                self.worst = (outside, at)

    def render(self, index: int) -> dict[str, Any]:
        """Everything, once there is no further picture."""
        if self._every is not None and self._sampled is not None:
            self._show_to_the_end(self._every)
            self._every.push(None)
            self._note(self._every)
            self._sampled.push(None)
            self._note_sample(self._sampled)
        worst, at = self.worst or (None, None)
        return {
            "black": self.black.render(index, self.line),
            "freeze": self.freeze.render(index, self.line),
            "scenes": {"count": self.cut_count, "cuts": self.cuts},
            "blur": {**self.blur.render(index, self.line), "mean": self.blurs.render()},
            "luma": {
                "outside": self.outside.render(),
                "worst": None if worst is None else round(worst, 4),
                "worst_time": None if at is None else shown(at),
            },
        }

    def _show_to_the_end(self, chain: Graph) -> None:
        """Push the last picture once more where it ends: the filters then know how long it was."""
        if self._last is not None:
            self._last.pts = round(self.line.end / TICK)
            chain.push(self._last)
            self._note(chain, is_last=True)


def _chain(size: tuple[int, int], filters: Sequence[tuple[str, str]]) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=size[0], height=size[1], format=VideoFormat("yuv420p"), time_base=TICK
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
        metadata = (frame.metadata for frame in pulled(graph))
        self.kinds.update(facts.get("lavfi.idet.multiple.current_frame", "") for facts in metadata)

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
    graph.threads = 1
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
