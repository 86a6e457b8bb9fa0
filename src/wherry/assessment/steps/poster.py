"""A picture that stands for the video: the most typical one of its first key frames."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.filter import Graph
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from wherry.assessment.media import (
    frames,
    length,
    moving_picture,
    open_media,
    origin,
    when,
)

NAME = "poster.jpg"
#: The longer side, in pixels.
LARGEST = 1280
#: How many key frames are looked at, from a tenth of the video on.
CANDIDATES = 24
#: FFmpeg's filters that turn a picture by so many degrees counterclockwise.
TURNS = {
    90: (("transpose", "cclock"),),
    180: (("hflip",), ("vflip",)),
    270: (("transpose", "clock"),),
}


def measure(file: str, folder: Path) -> dict[str, Any]:
    """Write the picture into `folder`. Raises `Unreadable`."""
    with open_media(file) as container:
        stream = moving_picture(container)
        if stream is None:
            return {"stream": None, "artefacts": []}
        frame = _typical(_shaped(_key_frames(container, stream), stream.sample_aspect_ratio))
        if frame is None:
            return {"stream": stream.index, "artefacts": []}
        (folder / NAME).write_bytes(_jpeg(frame))
        picture = {
            "name": NAME,
            "kind": "poster",
            "content_type": "image/jpeg",
            "width": frame.width,
            "height": frame.height,
            "time": when(frame.pts, frame.time_base, origin(container)),
        }
        return {"stream": stream.index, "artefacts": [picture]}


def _key_frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Key frames from a tenth of the video on, or from its beginning if there are none."""
    stream.codec_context.skip_frame = "NONKEY"
    later = (length(container) or 0.0) / 10
    try:
        container.seek(int((later + origin(container)) * av.time_base))
    except FFmpegError:
        container.seek(0)
    yield from islice(frames(container, stream), CANDIDATES)


def _shaped(pictures: Iterator[VideoFrame], aspect: Fraction | None) -> Iterator[VideoFrame]:
    """The pictures with square pixels, not too large, all of the first one's size."""
    size = None
    for picture in pictures:
        if size is None:
            width, height = picture.width * float(aspect or 1), float(picture.height)
            scale = min(1.0, LARGEST / max(width, height))
            size = (_even(width * scale), _even(height * scale))
        shaped = picture.reformat(*size, "yuvj420p", dst_color_range="JPEG")
        shaped.pts, shaped.time_base = picture.pts, picture.time_base
        yield shaped


def _even(side: float) -> int:
    return max(2, round(side / 2) * 2)


def _typical(pictures: Iterator[VideoFrame]) -> VideoFrame | None:
    """The picture nearest to the average of all, turned upright."""
    first = next(pictures, None)
    if first is None:
        return None
    graph = Graph()
    source = graph.add_buffer(
        width=first.width,
        height=first.height,
        format=VideoFormat("yuvj420p"),
        time_base=first.time_base,
    )
    turns = [graph.add(*turn) for turn in TURNS.get(int(first.rotation) % 360, ())]
    choice = graph.add("thumbnail", f"n={CANDIDATES}")
    graph.link_nodes(source, *turns, choice, graph.add("buffersink")).configure()
    for picture in chain([first], pictures, [None]):
        graph.vpush(picture)
    try:
        return graph.vpull()
    except (BlockingIOError, EOFError):
        return None


def _jpeg(frame: VideoFrame) -> bytes:
    encoder = VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qmin": "3", "qmax": "3"}
    frame.pts = None
    return b"".join(
        bytes(packet) for picture in (frame, None) for packet in encoder.encode(picture)
    )
