"""Makes real videos with planted events, and damages them in the ways that uploads are damaged.

Rule 1: every planted event is an argument, so a test can compare the assessment with it.

Rule 2: the same arguments give the same events. The bytes may differ between versions of the
encoder.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.plane import VideoPlane
from av.video.stream import VideoStream

#: A stretch of time in seconds, `[start, end)`; None plants nothing.
Span = tuple[float, float] | None

SAMPLE_RATE = 48_000
#: A sine with a peak of 0.1 is -20 dBFS.
PEAK = 0.1
#: The peak of the tone in the clipped stretch; anything above 1.0 is clipped.
TOO_LOUD = 2.0
#: By how much the bit rate is raised so that the file is not smaller than asked for.
MARGIN = 1.06


@dataclass(frozen=True, slots=True)
class Plan:
    """What the video contains; times in seconds."""

    seconds: float
    width: int
    height: int
    fps: int
    black: Span
    freeze: Span
    silence: Span
    blur: Span
    clipping: Span
    cuts: Sequence[float]
    channels: Sequence[bool]
    interlaced: bool

    @property
    def frames(self) -> int:
        return round(self.seconds * self.fps)

    def is_in(self, span: Span, frame: int) -> bool:
        return span is not None and span[0] * self.fps <= frame < span[1] * self.fps

    def is_still(self, frame: int) -> bool:
        return self.is_in(self.black, frame) or self.is_in(self.freeze, frame)

    def is_key(self, frame: int) -> bool:
        """Whether this frame is a key frame: every two seconds, and where a stretch begins or ends.

        There is none inside a black or frozen stretch, because it would change the picture.
        """
        times = [*(self.black or ()), *(self.freeze or ()), *self.cuts]
        edges = [round(time * self.fps) for time in times]
        return frame in edges or (frame % (2 * self.fps) == 0 and not self.is_still(frame))


def make_video(
    path: Path,
    *,
    seconds: float = 20,
    width: int = 1280,
    height: int = 720,
    fps: int = 25,
    size_at_least: int | None = None,
    black: Span = (5, 7),
    freeze: Span = (10, 13),
    silence: Span = (14, 17),
    blur: Span = None,
    clipping: Span = None,
    cuts: Sequence[float] = (),
    channels: Sequence[bool] = (True, True),
    interlaced: bool = False,
    codec: str = "aac",
    video: bool = True,
    audio: bool = True,
    faststart: bool = False,
) -> Path:
    """Write H.264 and AAC in the container that the suffix of `path` names.

    The picture moves and is full of noise. The sound is a tone of 1 kHz at -20 dBFS.
    `size_at_least` (bytes) sets the bit rate, which is constant. At each of `cuts` (seconds) the
    scene changes. `channels`: whether the left and the right channel have sound. Raises
    `AssertionError` if the file is smaller than `size_at_least`.
    """
    plan = Plan(
        seconds,
        width,
        height,
        fps,
        black,
        freeze,
        silence,
        blur,
        clipping,
        cuts,
        channels,
        interlaced,
    )
    bit_rate = width * height * fps // 5
    if size_at_least is not None:
        bit_rate = int(size_at_least * 8 * MARGIN / seconds)
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        writers: list[Iterator[float]] = []
        if video:
            writers.append(_write_pictures(container, plan, bit_rate))
        if audio:
            writers.append(_write_sound(container, plan, codec))
        _interleave(writers)
    assert size_at_least is None or path.stat().st_size >= size_at_least
    return path


def _interleave(writers: list[Iterator[float]]) -> None:
    """Always run the writer that is furthest behind, so that the streams are interleaved."""
    # The first packet writes the header, so every stream is added before it.
    at = {writer: next(writer) for writer in writers}
    while at:
        behind = min(at, key=lambda writer: at[writer])
        try:
            at[behind] = next(behind)
        except StopIteration:
            del at[behind]


def _write_pictures(container: OutputContainer, plan: Plan, bit_rate: int) -> Iterator[float]:
    stream = container.add_stream("libx264", rate=plan.fps)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = plan.width, plan.height, "yuv420p"
    stream.bit_rate = bit_rate
    stream.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "maxrate": str(bit_rate),
        "bufsize": str(bit_rate),
        "nal-hrd": "cbr",
        "g": "100000",
        "sc_threshold": "0",
    }
    if plan.interlaced:
        stream.options |= {"x264-params": "tff=1"}
    yield -1.0
    still: VideoFrame | None = None
    for number, moving in enumerate(_pictures(plan)):
        if not plan.is_still(number):
            still = None
        frame = still or (_black(plan) if plan.is_in(plan.black, number) else moving)
        frame.pts, frame.time_base = number, Fraction(1, plan.fps)
        frame.pict_type = PictureType.I if plan.is_key(number) else PictureType.NONE
        packets = stream.encode(frame)
        if plan.is_still(number) and still is None:
            # An encoder improves a still picture from frame to frame. It does not if its input
            # is the decoded picture, because then there is nothing to improve.
            still = _as_seen(packets, stream)
        container.mux(packets)
        yield number / plan.fps
    container.mux(stream.encode(None))


def _as_seen(packets: list[Packet[VideoStream]], stream: VideoStream) -> VideoFrame:
    """The decoded picture of these packets, which hold one key frame."""
    decoder = VideoCodecContext.create("h264", "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.extradata = stream.codec_context.extradata
    shown = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    return shown[-1]


def _pictures(plan: Plan) -> Iterator[VideoFrame]:
    if not plan.interlaced:
        yield from _moments(plan, plan.fps)
        return
    moments = _moments(plan, 2 * plan.fps)
    for upper, lower in zip(moments, moments, strict=True):
        yield _woven(upper, lower)


def _moments(plan: Plan, fps: int) -> Iterator[VideoFrame]:
    """The moving picture with `fps` frames a second. Every second scene is a negative."""
    source = f"size={plan.width}x{plan.height}:rate={fps}"
    begins = [*plan.cuts, plan.seconds]
    negative = "+".join(
        f"gte(t\\,{start})*lt(t\\,{end})"
        for start, end in zip(begins[:-1:2], begins[1::2], strict=False)
    )
    chain = [("testsrc2", source)]
    if negative:
        chain.append(("negate", f"enable={negative}"))
    if not plan.interlaced:
        # In an interlaced video, the noise of two moments would hide which lines belong together.
        chain.append(("noise", "alls=20:allf=t"))
    if plan.blur is not None:
        start, end = plan.blur
        blurred = f"gte(t\\,{start})*lt(t\\,{end})"
        chain.append(("gblur", f"sigma={plan.width / 40}:enable={blurred}"))
    graph = Graph()
    nodes = [graph.add(name, args) for name, args in (*chain, ("format", "yuv420p"))]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    for _ in range(round(plan.seconds * fps)):
        yield graph.vpull()


def _woven(upper: VideoFrame, lower: VideoFrame) -> VideoFrame:
    """An interlaced frame: every second line from each of two frames."""
    frame = VideoFrame(upper.width, upper.height, "yuv420p")
    for into, one, other in zip(frame.planes, upper.planes, lower.planes, strict=True):
        lines = enumerate(zip(_lines(one), _lines(other), strict=True))
        woven = b"".join(pair[number % 2].ljust(into.line_size, b"\0") for number, pair in lines)
        into.update(woven.ljust(into.buffer_size, b"\0"))
    return frame


def _lines(plane: VideoPlane) -> Iterator[bytes]:
    data = bytes(plane)
    for at in range(0, plane.height * plane.line_size, plane.line_size):
        yield data[at : at + plane.width]


def _black(plan: Plan) -> VideoFrame:
    frame = VideoFrame(plan.width, plan.height, "yuv420p")
    for level, plane in zip((16, 128, 128), frame.planes, strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    return frame


def _write_sound(container: OutputContainer, plan: Plan, codec: str) -> Iterator[float]:
    stream = container.add_stream(codec, rate=SAMPLE_RATE)
    assert isinstance(stream, AudioStream)
    stream.layout = "stereo"
    yield -1.0
    samples = 0
    for frame in _sound(plan):
        container.mux(stream.encode(frame))
        samples += frame.samples
        yield samples / SAMPLE_RATE
    container.mux(stream.encode(None))


def _sound(plan: Plan) -> Iterator[AudioFrame]:
    wave = f"{PEAK}*sin(2*PI*1000*t)"
    if plan.silence is not None:
        start, end = plan.silence
        wave += f"*(lt(t\\,{start})+gte(t\\,{end}))"
    if plan.clipping is not None:
        start, end = plan.clipping
        wave += f"*(1+{TOO_LOUD / PEAK - 1}*gte(t\\,{start})*lt(t\\,{end}))"
    waves = "|".join(f"clip({wave}\\,-1\\,1)" if heard else "0" for heard in plan.channels)
    graph = Graph()
    source = graph.add("aevalsrc", f"exprs={waves}:s={SAMPLE_RATE}:d={plan.seconds}:c=stereo")
    shape = graph.add("aformat", "sample_fmts=fltp:channel_layouts=stereo")
    graph.link_nodes(source, shape, graph.add("abuffersink")).configure()
    while True:
        try:
            frame = graph.pull()
        except EOFError:
            return
        assert isinstance(frame, AudioFrame)
        yield frame


# Ways to damage a file. Each changes `path` in place. `at` is a fraction of its length.


def somewhere(path: Path, seed: int, room: int = 1) -> float:
    """An `at` in the media data of an MP4, with `room` bytes after it; the same for each seed."""
    first, last = _media(path)
    return random.Random(seed).randrange(first, last - room) / path.stat().st_size


def _media(path: Path) -> tuple[int, int]:
    """The range of an MP4's media data. For another container: all but the first and last tenth."""
    length, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at + 8 <= length:
            file.seek(at)
            size, name = int.from_bytes(file.read(4), "big"), file.read(4)
            if name == b"mdat":
                return at + 16, at + size
            if size < 8 or not name.isalnum():
                break
            at += size
    return length // 10, length * 9 // 10


def truncate(path: Path, at: float = 0.6) -> Path:
    """Remove everything after `at`."""
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * at))
    return path


def zero_block(path: Path, at: float = 0.7, length: int = 65_536) -> Path:
    """Overwrite `length` bytes with zeros, as if a chunk had not arrived."""
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * at))
        file.write(bytes(length))
    return path


def swap_blocks(path: Path, at: float = 0.7, length: int = 32_768) -> Path:
    """Exchange two blocks of `length` bytes, as if chunks had been joined in the wrong order."""
    first = int(path.stat().st_size * at)
    second = first + 2 * length
    with path.open("r+b") as file:
        file.seek(first)
        one = file.read(length)
        file.seek(second)
        other = file.read(length)
        file.seek(first)
        file.write(other)
        file.seek(second)
        file.write(one)
    return path


def flip_bits(path: Path, count: int = 20, seed: int = 1) -> Path:
    """Flip `count` bits of the media data; the same ones for each seed."""
    chance = random.Random(seed)
    first, last = _media(path)
    with path.open("r+b") as file:
        for _ in range(count):
            at = chance.randrange(first, last)
            file.seek(at)
            (byte,) = file.read(1)
            file.seek(at)
            file.write(bytes([byte ^ 1 << chance.randrange(8)]))
    return path


#: All of these by name.
DAMAGES: dict[str, Callable[[Path], Path]] = {
    "truncated": truncate,
    "zeroed block": zero_block,
    "swapped blocks": swap_blocks,
    "flipped bits": flip_bits,
}


# Files that are not videos, whatever their names say.


def make_text(path: Path) -> Path:
    """Write a text file."""
    path.write_text("It was a dark and stormy night.\n" * 2000)
    return path


def make_playlist(path: Path, kind: str, target: str) -> Path:
    """Write a playlist that makes a player open `target`. `kind`: hls, ffconcat, concat or sdp."""
    path.write_text(
        {
            "hls": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n"
            f"#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n",
            "ffconcat": f"ffconcat version 1.0\nfile '{target}'\n",
            "concat": f"file '{target}'\n",
            "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns={target}\nc=IN IP4 127.0.0.1\nt=0 0\n"
            "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        }[kind]
    )
    return path
