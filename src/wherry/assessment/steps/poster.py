"""A picture that stands for the video: the most typical one of its first key frames."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, SupportsFloat

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from wherry.assessment.context import Context
from wherry.assessment.media import (
    frames,
    length,
    moving_picture,
    open_media,
    origin,
    when,
)
from wherry.assessment.pictures import choose, fit, jpeg, shape

NAME = "poster.jpg"
#: The longer side, in pixels.
LARGEST = 1280
#: How many key frames are looked at, from a tenth of the video on.
CANDIDATES = 24


def measure(context: Context) -> dict[str, Any]:
    """Write the picture. Raises `Unreadable`."""
    with open_media(context.file) as container:
        stream = moving_picture(container)
        if stream is None:
            return {"stream": None}
        pictures = _shaped(_key_frames(container, stream), stream.sample_aspect_ratio)
        frame = _typical(pictures)
        if frame is not None:
            time = when(frame.pts, frame.time_base, origin(container))
            width, height = frame.width, frame.height
            context.write(NAME, jpeg(frame), kind="poster", width=width, height=height, time=time)
        return {"stream": stream.index}


def _key_frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Key frames from a tenth of the video on, or from its beginning if there are none."""
    stream.codec_context.skip_frame = "NONKEY"
    later = (length(container) or 0.0) / 10
    try:
        container.seek(int((later + origin(container)) * av.time_base))
    except FFmpegError:
        container.seek(0)
    yield from islice(frames(container, stream), CANDIDATES)


def _shaped(pictures: Iterator[VideoFrame], aspect: SupportsFloat | None) -> Iterator[VideoFrame]:
    """The pictures with square pixels, not too large, all of the first one's size."""
    size = None
    for picture in pictures:
        if size is None:
            size = fit(picture.width * float(aspect or 1), float(picture.height), LARGEST)
        yield shape(picture, size)


def _typical(pictures: Iterator[VideoFrame]) -> VideoFrame | None:
    """The picture nearest to the average of all, turned upright."""
    first = next(pictures, None)
    if first is None:
        return None
    try:
        return choose(
            chain([first], pictures), int(first.rotation), ("thumbnail", f"n={CANDIDATES}")
        )
    except (BlockingIOError, EOFError):
        return None
