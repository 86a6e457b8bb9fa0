"""Removes the samples that an encoder added to fill its last frame of sound.

Rule 1: the MP4 family declares where a track ends; the samples after that are dropped. FFmpeg
does so itself since version 9 (PyAV 19). It is done here so that reports do not depend on it.
"""

from __future__ import annotations

from typing import Any

from av.audio.frame import AudioFrame
from av.stream import Stream


def without_padding(frame: Any, stream: Stream) -> Any:
    """The frame up to the declared end of its stream; a frame of anything else as it is."""
    if not isinstance(frame, AudioFrame) or not stream.duration or frame.pts is None:
        return frame
    if frame.is_corrupt or "mov" not in stream.container.format.name.split(","):
        return frame
    left = (stream.start_time or 0) + stream.duration - frame.pts
    samples = round(float(left * (stream.time_base or 0)) * frame.sample_rate)
    # Where the end is not in this frame, the declaration is not about padding.
    return _first(frame, samples) if 0 < samples < frame.samples else frame


def _first(frame: AudioFrame, samples: int) -> AudioFrame:
    short = AudioFrame(format=frame.format.name, layout=frame.layout.name, samples=samples)
    for plane, source in zip(short.planes, frame.planes, strict=True):
        plane.update(bytes(source)[: plane.buffer_size].ljust(plane.buffer_size, b"\0"))
    short.pts, short.time_base, short.sample_rate = frame.pts, frame.time_base, frame.sample_rate
    return short
