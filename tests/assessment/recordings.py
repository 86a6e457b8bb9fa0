"""Small files as recorders, editors and cameras leave them, made with PyAV."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from av.subtitles.stream import SubtitleStream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

WIDTH, HEIGHT, RATE, SOUND_RATE = 160, 120, 25, 48_000
CLOCK = 90_000
#: A key frame a second, and two B-frames in a row.
USUAL = {"preset": "ultrafast", "g": "25", "bf": "2", "sc_threshold": "0"}
#: Pictures are sent in the order in which they are shown.
NO_B_FRAMES = {**USUAL, "bf": "0"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "use_editlist": "0"}

#: What an encoder of subtitles wants to know beforehand.
ASS = (
    b"[Script Info]\nScriptType: v4.00+\nPlayResX: 384\nPlayResY: 288\n\n[V4+ Styles]\n"
    b"Format: Name, Fontname, Fontsize, PrimaryColour\nStyle: Default,Arial,16,&Hffffff\n\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)

#: FFmpeg encrypts with these options.
CENC = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "00112233445566778899aabbccddeeff",
    "encryption_kid": "0123456789abcdef0123456789abcdef",
}
Packets: TypeAlias = "list[Packet[Any]]"


def record(
    path: Path,
    *,
    seconds: float = 4,
    times: Sequence[float] | None = None,
    start: float = 0.0,
    sound_start: float | None = None,
    sound: str | None = "aac",
    sounds: int = 1,
    codec: str = "libx264",
    codec_options: Mapping[str, str] = USUAL,
    pixels: str = "yuv420p",
    container: str | None = None,
    options: Mapping[str, str] | None = None,
    keep: Callable[[Packets], Packets] = lambda packets: packets,
    rate: int = RATE,
    clock: int = CLOCK,
) -> Path:
    """A moving picture and a tone.

    `times` are the seconds of the pictures, evenly spaced without it; `start` is where the
    recorder's clock stands at the first picture. `keep` takes the packets of the picture in
    decoding order, and returns those that are written.
    """
    times = [n / rate for n in range(round(seconds * rate))] if times is None else times
    with (
        same_scheduling(),
        av.open(str(path), "w", format=container, options=dict(options or {})) as out,
    ):
        picture = out.add_stream(codec, rate=rate, options=dict(codec_options))
        assert isinstance(picture, VideoStream)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, pixels
        picture.codec_context.time_base = Fraction(1, clock)
        heard = [out.add_stream(sound, rate=SOUND_RATE) for _ in range(sounds) if sound]
        moments = [round((start + time) * clock) for time in times]
        packets = keep(_pictures(picture, moments, Fraction(1, clock), pixels))
        for stream in heard:
            assert isinstance(stream, AudioStream)
            stream.layout = "mono"
            packets += _tone(stream, seconds, start if sound_start is None else sound_start)
        mux(out, packets)
    return path


@contextmanager
def same_scheduling() -> Iterator[None]:
    """SVT-AV1 gives the thread that uses it a real-time priority, if it may.

    Every process that the tests start later would inherit it, and leave others no processor time.
    """
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


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


def _pictures(stream: VideoStream, moments: Sequence[int], base: Fraction, pixels: str) -> Packets:
    pictures, packets = scene(pixels), []
    for number, moment in enumerate(moments):
        frame = pictures[number % len(pictures)]
        frame.pts, frame.time_base = moment, base
        # The source says that each of its pictures is a key frame.
        frame.pict_type = PictureType.NONE
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


def patched(path: Path, *changes: tuple[bytes, int, Callable[[int], int]]) -> Path:
    """Change numbers of 32 bits in boxes: the name of the box, where in it, and how."""
    data = bytearray(path.read_bytes())
    for name, at, _ in list(boxes(bytes(data))):
        for box, place, change in changes:
            if box == name:
                place += at
                (value,) = struct.unpack(">I", data[place : place + 4])
                data[place : place + 4] = struct.pack(">I", change(value))
    path.write_bytes(data)
    return path


def with_subtitles(path: Path, source: Path, end: float) -> Path:
    """The same with a second of text, and another one that is shown until `end`."""
    codec = "srt" if path.suffix == ".mkv" else "mov_text"
    with av.open(str(source)) as first, av.open(str(path), "w") as out:
        copies = {s.index: out.add_stream_from_template(s) for s in first.streams}
        text = out.add_stream(codec)
        assert isinstance(text, SubtitleStream)
        text.codec_context.subtitle_header = ASS
        packets = [packet for packet in first.demux() if packet.dts is not None]
        for packet in packets:
            packet.stream = copies[packet.stream.index]
        for begin, stop in ((0.5, 1.5), (2.0, end)):
            words = b"Look." if codec == "srt" else b"\0\5Look."
            packet = Packet(words)
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = round(begin * 1000)
            packet.duration = round((stop - begin) * 1000)
            packets.append(packet)
        mux(out, packets)
    return path


def with_cover(path: Path) -> Path:
    """Put a cover picture into an MP4 file whose index is at its end, as taggers do."""
    picture = b"".join(bytes(packet) for packet in _jpeg())
    data = bytearray(path.read_bytes())
    ((at, length),) = [(at, length) for name, at, length in boxes(bytes(data)) if name == b"moov"]
    assert at + length == len(data)

    def box(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", 8 + len(content)) + name + content

    cover = box(b"ilst", box(b"covr", box(b"data", struct.pack(">II", 13, 0) + picture)))
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    added = box(b"udta", box(b"meta", bytes(4) + handler + cover))
    data[at : at + 4] = struct.pack(">I", length + len(added))
    path.write_bytes(data + added)
    return path


def _jpeg() -> Packets:
    encoder = VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    return [*encoder.encode(scene()[0].reformat(format="yuvj420p")), *encoder.encode(None)]


def cut(path: Path, begin: float = 0.0, end: float = 1.0, unit: int = 1) -> Path:
    """Keep what lies between these shares of the bytes, in whole units of so many bytes."""
    data = path.read_bytes()
    first, last = (int(len(data) * share) // unit * unit for share in (begin, end))
    path.write_bytes(data[first:last])
    return path


#: Apple's SAMPLE-AES has stream types of its own for H.264 and AAC.
SAMPLE_AES = {0x1B: 0xDB, 0x0F: 0xCF}


def said_to_be_encrypted(path: Path) -> Path:
    """A transport stream whose tables say SAMPLE-AES; what is in it is as it was."""
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), 188):
        if data[at + 1] & 0x40 and data[at + 4 : at + 6] == b"\0\2":
            begin = at + 5
            end = begin + 3 + (data[begin + 1] << 8 & 0xF00 | data[begin + 2])
            entry = begin + 12 + (data[begin + 10] << 8 & 0xF00 | data[begin + 11])
            while entry < end - 4:
                data[entry] = SAMPLE_AES[data[entry]]
                entry += 5 + (data[entry + 3] << 8 & 0xF00 | data[entry + 4])
            data[end - 4 : end] = struct.pack(">I", _crc(data[begin : end - 4]))
    path.write_bytes(data)
    return path


def _crc(data: bytearray) -> int:
    """ISO/IEC 13818-1, annex A."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


def scrambled(path: Path) -> Path:
    """A transport stream whose packets of picture and sound say that they are scrambled."""
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), 188):
        if (data[at + 1] & 0x1F) << 8 | data[at + 2] in (256, 257):
            data[at + 3] |= 0x80
            data[at + 4 + 20 : at + 188] = bytes(164)
    path.write_bytes(data)
    return path


def renamed(path: Path, old: bytes, new: bytes, *, last: bool = False) -> Path:
    """Give a box or a sample entry another name: the first of this name, or the last."""
    data = bytearray(path.read_bytes())
    at = data.rfind(old) if last else data.find(old)
    data[at : at + 4] = new
    path.write_bytes(data)
    return path


def padded(path: Path, most: int = 12 << 20) -> Path:
    """Make the box of the media so much longer, by zeros that belong to no picture."""
    data = path.read_bytes()
    begin = data.index(b"mdat") - 4
    size = int.from_bytes(data[begin : begin + 4], "big")
    longer = (size + most).to_bytes(4, "big")
    end = begin + size
    path.write_bytes(data[:begin] + longer + data[begin + 4 : end] + bytes(most) + data[end:])
    return path


def without_index(path: Path) -> Path:
    """A recording whose end was never written."""
    path.write_bytes(path.read_bytes().partition(b"moov")[0][:-4])
    return path


def without_decoder(path: Path) -> Path:
    """Make the last sound track of an MP4 file one in a format that nothing here decodes."""
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"mp4a\0\0\0\0\0\0\0\1")
    description = data.find(b"esds", entry)
    # As telephones write it for sound in space.
    data[entry : entry + 4], data[description : description + 4] = b"apac", b"dapa"
    path.write_bytes(data)
    return path


def _element(identifier: int, content: bytes) -> bytes:
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + (len(content) | 1 << 56).to_bytes(8, "big") + content


def _elements(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """The elements of Matroska that follow each other: identifier, content, length of all."""
    at = 0
    while at < len(data):
        begin, numbers = at, []
        for keep_mark in (True, False):
            width = 9 - data[at].bit_length()
            value = int.from_bytes(data[at : at + width], "big")
            numbers.append(value if keep_mark else value & ((1 << 7 * width) - 1))
            at += width
        yield numbers[0], data[at : at + numbers[1]], at + numbers[1] - begin
        at += numbers[1]


def with_key(path: Path) -> Path:
    """Say of the first track of a live Matroska file that it is encrypted, as in WebM."""
    data = path.read_bytes()
    at = data.rindex(b"\x16\x54\xae\x6b", 0, data.index(b"\x1f\x43\xb6\x75"))
    _, tracks, length = next(_elements(data[at:]))
    entries = [(name, content) for name, content, _ in _elements(tracks) if name == 0xAE]
    algorithm = _element(0x47E1, b"\5") + _element(0x47E2, bytes(range(16)))
    settings = _element(0x47E7, _element(0x47E8, b"\1"))
    encryption = _element(0x5035, algorithm + settings)
    kind = _element(0x5031, b"\0") + _element(0x5032, b"\1") + _element(0x5033, b"\1")
    encoding = _element(0x6D80, _element(0x6240, kind + encryption))
    entries[0] = (0xAE, entries[0][1] + encoding)
    rebuilt = _element(0x1654AE6B, b"".join(_element(*entry) for entry in entries))
    path.write_bytes(data[:at] + rebuilt + data[at + length :])
    return path
