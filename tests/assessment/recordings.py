"""Small files as recorders, editors and cameras leave them, made with PyAV."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

WIDTH, HEIGHT, RATE, SOUND_RATE = 160, 120, 25, 48_000
CLOCK = 90_000
#: A key frame a second, and two B-frames in a row.
USUAL = {"preset": "ultrafast", "g": "25", "bf": "2", "sc_threshold": "0"}
#: Pictures are sent in the order in which they are shown.
NO_B_FRAMES = {**USUAL, "bf": "0"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "use_editlist": "0"}

Packets: TypeAlias = "list[Packet[Any]]"


def record(
    path: Path,
    *,
    seconds: float = 4,
    times: Sequence[float] | None = None,
    start: float = 0.0,
    sound_start: float | None = None,
    sound: str | None = "aac",
    codec: str = "libx264",
    codec_options: Mapping[str, str] = USUAL,
    pixels: str = "yuv420p",
    container: str | None = None,
    options: Mapping[str, str] | None = None,
    keep: Callable[[Packets], Packets] = lambda packets: packets,
    rate: int = RATE,
) -> Path:
    """A moving picture and a tone.

    `times` are the seconds of the pictures, evenly spaced without it; `start` is where the
    recorder's clock stands at the first picture. `keep` takes the packets of the picture in
    decoding order, and returns those that are written.
    """
    times = [n / rate for n in range(round(seconds * rate))] if times is None else times
    with av.open(str(path), "w", format=container, options=dict(options or {})) as out:
        picture = out.add_stream(codec, rate=rate, options=dict(codec_options))
        assert isinstance(picture, VideoStream)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, pixels
        picture.codec_context.time_base = Fraction(1, CLOCK)
        heard = out.add_stream(sound, rate=SOUND_RATE) if sound else None
        packets = keep(_pictures(picture, [start + time for time in times], pixels))
        if isinstance(heard, AudioStream):
            heard.layout = "mono"
            packets += _tone(heard, seconds, start if sound_start is None else sound_start)
        mux(out, packets)
    return path


def mux(out: OutputContainer, packets: Packets) -> None:
    """Write packets of any streams in the order of their decoding."""
    for packet in sorted(packets, key=_decoded_at):
        out.mux(packet)


def _decoded_at(packet: Packet[Any]) -> float:
    stamp = packet.pts if packet.dts is None else packet.dts
    return float((stamp or 0) * packet.time_base)


@cache
def scene(pixels: str = "yuv420p", number: int = 48) -> list[VideoFrame]:
    """Pictures that move."""
    graph = Graph()
    names = (
        ("testsrc2", f"size={WIDTH}x{HEIGHT}:rate={RATE}"),
        ("format", pixels),
        ("buffersink", ""),
    )
    graph.link_nodes(*(graph.add(*name) for name in names)).configure()
    return [graph.vpull() for _ in range(number)]


def _pictures(stream: VideoStream, times: Sequence[float], pixels: str) -> Packets:
    pictures, packets = scene(pixels), []
    for number, time in enumerate(times):
        frame = pictures[number % len(pictures)]
        frame.pts, frame.time_base = round(time * CLOCK), Fraction(1, CLOCK)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


def _tone(stream: AudioStream, seconds: float, start: float) -> Packets:
    packets: Packets = []
    for frame in tone(seconds):
        frame.pts = (frame.pts or 0) + round(start * SOUND_RATE)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


def tone(seconds: float) -> Iterator[AudioFrame]:
    graph = Graph()
    names = (
        ("sine", f"r={SOUND_RATE}:d={seconds}:samples_per_frame=1024"),
        ("aformat", "sample_fmts=fltp:channel_layouts=mono"),
        ("abuffersink", ""),
    )
    graph.link_nodes(*(graph.add(*name) for name in names)).configure()
    while True:
        try:
            frame = graph.pull()
        except EOFError:
            return
        assert isinstance(frame, AudioFrame)
        yield frame


# What happens to them afterwards.


def joined(path: Path, *parts: Path) -> Path:
    """The bytes of these files one after the other, as transport streams are put together."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex")


def boxes(data: bytes, at: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Every box of an MP4 file: its name, where it begins, how long it is."""
    end = len(data) if end is None else end
    while at + 8 <= end:
        length, name = struct.unpack(">I4s", data[at : at + 8])
        yield name, at, length
        if name in PARENTS:
            yield from boxes(data, at + 8, at + length)
        at += max(length, 8)
