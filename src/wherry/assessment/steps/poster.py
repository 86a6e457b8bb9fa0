"""One picture that represents the video: the most typical of its first key frames.

Rule 1: a file without seeking, or without a key frame further on, is read from its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import Any, SupportsFloat, TypeAlias

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
    seconds,
    stamps,
    when,
)
from wherry.assessment.pictures import choose, fit, jpeg, shape, upper_lines
from wherry.assessment.timeline import TICK, timeline_of

NAME = "poster.jpg"
#: The longer side, in pixels.
LARGEST = 1280
#: How many pictures are compared: key frames, or one of so many pictures.
CANDIDATES, EVERY = 24, 5

#: Pictures, each with the time at which it is shown, if that is known.
Pictures: TypeAlias = Iterator[tuple[float | None, VideoFrame]]


def measure(context: Context) -> dict[str, Any]:
    """Write the picture. Raises `Unreadable`."""
    index = None
    for way in (_later_key_frames, _key_frames, _all_frames):
        # Opened anew: after a search that failed, reading may go on anywhere.
        with open_media(context.file) as container:
            stream = moving_picture(container)
            if stream is None:
                break
            index = stream.index
            if _draw(context, way(container, stream), stream.sample_aspect_ratio):
                break
    return {"stream": index}


def _draw(context: Context, pictures: Pictures, aspect: SupportsFloat | None) -> bool:
    """Write the most typical of the pictures; False if there is none."""
    times: list[float | None] = []
    frame = _typical(_numbered(pictures, times), aspect)
    if frame is None:
        return False
    time = seconds(times[frame.pts or 0])
    width, height = frame.width, frame.height
    context.write(NAME, jpeg(frame), kind="poster", width=width, height=height, time=time)
    return True


def _later_key_frames(container: InputContainer, stream: VideoStream) -> Pictures:
    """Key frames from a tenth of the video on; none if the file cannot be searched."""
    later = (length(container) or 0.0) / 10
    with suppress(FFmpegError):
        container.seek(int((later + origin(container)) * av.time_base))
        yield from _key_frames(container, stream)


def _key_frames(container: InputContainer, stream: VideoStream) -> Pictures:
    """The next key frames."""
    stream.codec_context.skip_frame = "NONKEY"
    # Where the container has no stamps, it takes all frames to know when one is shown.
    is_timed = container.start_time is not None and not stamps(container, stream).unstamped
    for frame in islice(frames(container, stream), CANDIDATES):
        at = when(frame.pts, frame.time_base, origin(container)) if is_timed else None
        yield None if at is None else max(at, 0.0), frame


def _all_frames(container: InputContainer, stream: VideoStream) -> Pictures:
    """Every fifth of the first pictures."""
    line = timeline_of(container, stream)
    timed = ((line.take(frame), frame) for frame in frames(container, stream))
    yield from islice(timed, 0, CANDIDATES * EVERY, EVERY)


def _numbered(pictures: Pictures, times: list[float | None]) -> Iterator[VideoFrame]:
    """The pictures with their number as their time stamp; their times go to `times`."""
    for time, picture in pictures:
        picture.pts, picture.time_base = len(times), TICK
        times.append(time)
        yield picture


def _shaped(pictures: Iterator[VideoFrame], size: tuple[int, int]) -> Iterator[VideoFrame]:
    """The pictures as a player shows them, all in this size; of interlaced ones one moment."""
    for picture in pictures:
        yield shape(upper_lines(picture) if picture.interlaced_frame else picture, size)


def _typical(pictures: Iterator[VideoFrame], aspect: SupportsFloat | None) -> VideoFrame | None:
    """The picture nearest to the average of all, with square pixels, not too large, upright."""
    first = next(pictures, None)
    if first is None:
        return None
    size = fit(first.width * float(aspect or 1), float(first.height), LARGEST)
    every = _shaped(chain([first], pictures), size)
    try:
        return choose(every, int(first.rotation), ("thumbnail", f"n={CANDIDATES}"))
    except (BlockingIOError, EOFError):
        return None
