"""FFmpeg filters that watch a stream and say which stretches of it are black, frozen or silent.

Rule 1: a filter sees frames of one shape. A file may change its shape half-way.

Rule 2: a stretch that is still going on where the stream ends, ends there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.filter import Graph
from av.stream import Stream
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from wherry.assessment.media import (
    frames,
    main_sound,
    moving_picture,
    open_media,
    origin,
    seconds,
)

#: The width at which pictures are looked at; smaller details do not matter.
WIDTH = 320
#: How many stretches are listed; `count` has them all.
LISTED = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter with its arguments, and the metadata keys under which it tells a stretch."""

    name: str
    args: str
    start: str
    end: str


def find_in_video(file: str, what: Filter) -> dict[str, Any]:
    """Where `what` applies to the pictures; `stream` is None where there are none."""
    with open_media(file) as container:
        return _find(container, moving_picture(container), what, _VideoWatch)


def find_in_audio(file: str, what: Filter) -> dict[str, Any]:
    """Where `what` applies to the sound; `stream` is None where there is none."""
    with open_media(file) as container:
        return _find(container, main_sound(container), what, _AudioWatch)


def _find(
    container: InputContainer,
    stream: Stream | None,
    what: Filter,
    watch_with: Callable[[Filter], _VideoWatch | _AudioWatch],
) -> dict[str, Any]:
    if stream is None:
        return {"stream": None, "ranges": [], "count": 0, "seconds": 0.0, "share": 0.0}
    watch, marks, zero = watch_with(what), _Marks(what), origin(container)
    first = last = None
    for frame in frames(container, stream):
        shown = float(frame.pts * frame.time_base)
        first = shown if first is None else first
        last = max(last or shown, shown + _duration(frame))
        marks.take(watch.push(frame))
    marks.take(watch.push(None))
    ranges = marks.ranges(last)
    total = sum(end - start for start, end in ranges)
    length = (last or 0.0) - (first or 0.0)
    return {
        "stream": stream.index,
        "ranges": [[seconds(s - zero), seconds(e - zero)] for s, e in ranges[:LISTED]],
        "count": len(ranges),
        "seconds": seconds(total),
        "share": round(min(total / length, 1.0), 4) if length > 0 else 0.0,
    }


def _duration(frame: Any) -> float:
    if isinstance(frame, AudioFrame):
        return frame.samples / frame.sample_rate
    return float(frame.duration * frame.time_base) if frame.duration else 0.0


@dataclass(slots=True)
class _Marks:
    """Beginnings and ends as a filter reports them, in order."""

    what: Filter
    _begun: float | None = None
    _ended: list[tuple[float, float]] = field(default_factory=list)

    def take(self, told: Iterator[dict[str, str]]) -> None:
        for facts in told:
            if (end := _number(facts.get(self.what.end))) is not None and self._begun is not None:
                self._ended.append((self._begun, end))
                self._begun = None
            if (start := _number(facts.get(self.what.start))) is not None:
                self._begun = start

    def ranges(self, last: float | None) -> list[tuple[float, float]]:
        """All stretches; the one still going on ends at `last`."""
        if self._begun is None or last is None or last <= self._begun:
            return self._ended
        return [*self._ended, (self._begun, last)]


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _told(graph: Graph) -> Iterator[dict[str, str]]:
    """What the filter wrote to the frames that it has let through."""
    while True:
        try:
            frame = graph.pull()
        except (BlockingIOError, EOFError):
            return
        yield dict(frame.metadata)


class _VideoWatch:
    def __init__(self, what: Filter) -> None:
        self._what = what
        self._graph: Graph | None = None
        self._size = (0, 0)

    def push(self, frame: VideoFrame | None) -> Iterator[dict[str, str]]:
        """Give the filter the next frame, or None at the end."""
        if frame is not None and self._graph is None:
            height = round(frame.height * WIDTH / frame.width / 2) * 2
            self._size = (WIDTH, min(max(height, 16), 4 * WIDTH))
            self._graph = self._build(frame)
        if self._graph is None:
            return iter(())
        if frame is not None:
            stamp, time_base = frame.pts, frame.time_base
            # One thread: starting more for every picture costs more than they save.
            frame = frame.reformat(*self._size, "yuv420p", interpolation="AREA", threads=1)
            frame.pts, frame.time_base = stamp, time_base
        self._graph.push(frame)
        return _told(self._graph)

    def _build(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        source = graph.add_buffer(
            width=self._size[0],
            height=self._size[1],
            format=VideoFormat("yuv420p"),
            time_base=frame.time_base,
        )
        watch = graph.add(self._what.name, self._what.args)
        graph.link_nodes(source, watch, graph.add("buffersink")).configure()
        return graph


class _AudioWatch:
    def __init__(self, what: Filter) -> None:
        self._what = what
        self._graph: Graph | None = None
        self._shape: tuple[Any, ...] = ()

    def push(self, frame: AudioFrame | None) -> Iterator[dict[str, str]]:
        """Give the filter the next frame, or None at the end."""
        if frame is not None:
            shape = (frame.format.name, frame.layout.name, frame.sample_rate)
            if shape != self._shape:
                self._shape, self._graph = shape, self._build(frame)
        if self._graph is None:
            return iter(())
        self._graph.push(frame)
        return _told(self._graph)

    def _build(self, frame: AudioFrame) -> Graph:
        graph = Graph()
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format,
            layout=frame.layout,
            time_base=frame.time_base,
        )
        shape = graph.add("aformat", "sample_fmts=flt:channel_layouts=stereo")
        watch = graph.add(self._what.name, self._what.args)
        graph.link_nodes(source, shape, watch, graph.add("abuffersink")).configure()
        return graph
