"""Scales, rotates, arranges and writes pictures.

Rule 1: pictures have square pixels, stand upright, and have the colours of an ordinary screen
(`colours`), as in a player.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from av.filter import Graph
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace

from wherry.assessment.colours import as_shown
from wherry.assessment.timeline import TICK

#: FFmpeg's filters that turn a picture by so many degrees counterclockwise.
TURNS = {
    90: (("transpose", "cclock"),),
    180: (("hflip",), ("vflip",)),
    270: (("transpose", "clock"),),
}
#: The pixels of a JPEG.
FORMAT = "yuvj420p"


def fit(width: float, height: float, largest: int) -> tuple[int, int]:
    """Even sides of this shape, none longer than `largest` or the shape itself."""
    scale = min(1.0, largest / max(width, height, 1))
    return _even(width * scale), _even(height * scale)


def _even(side: float) -> int:
    return max(2, round(side / 2) * 2)


def shape(frame: VideoFrame, size: tuple[int, int]) -> VideoFrame:
    """The picture in this size, for a JPEG: full range, and the matrix of BT.601."""
    shown = as_shown(frame, size)
    shaped = shown.reformat(
        *size, FORMAT, dst_colorspace=Colorspace.ITU601, dst_color_range="JPEG", threads=1
    )
    shaped.pts, shaped.time_base = frame.pts, frame.time_base or TICK
    return shaped


def upper_lines(frame: VideoFrame) -> VideoFrame:
    """Every other line of an interlaced picture: the lines of one moment."""
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=TICK
    )
    graph.link_nodes(source, graph.add("field", "top"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    lines = graph.vpull()
    lines.colorspace, lines.color_range = frame.colorspace, frame.color_range
    lines.color_trc, lines.color_primaries = frame.color_trc, frame.color_primaries
    return lines


def choose(frames: Iterable[VideoFrame], rotation: int, *chain: tuple[str, str]) -> VideoFrame:
    """What these filters make of pictures of one shape, turned upright first.

    Raises `EOFError` when there is no picture.
    """
    graph: Graph | None = None
    for frame in frames:
        if graph is None:
            graph = Graph()
            graph.threads = 1
            source = graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=VideoFormat(FORMAT),
                time_base=frame.time_base,
            )
            turns = [graph.add(*turn) for turn in TURNS.get(rotation % 360, ())]
            last = [graph.add(*what) for what in chain]
            graph.link_nodes(source, *turns, *last, graph.add("buffersink")).configure()
        graph.vpush(frame)
    if graph is None:
        raise EOFError
    graph.vpush(None)
    return graph.vpull()


def lay(frames: Sequence[VideoFrame], rotation: int, columns: int) -> VideoFrame:
    """The pictures side by side in rows of `columns`. Raises `EOFError` when there is none."""
    rows = -(-len(frames) // columns)
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, Fraction(1, 25)
    return choose(frames, rotation, ("tile", f"{columns}x{rows}"))


def jpeg(frame: VideoFrame) -> bytes:
    """The picture as a JPEG file; takes its time stamp away."""
    encoder = VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, FORMAT
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qmin": "3", "qmax": "3"}
    frame.pts = None
    return b"".join(
        bytes(packet) for picture in (frame, None) for packet in encoder.encode(picture)
    )


#: The colour of a waveform: readable on white and on black.
INK = bytes((78, 132, 196, 255))
CLEAR = bytes(4)


def waveform(peaks: Sequence[float], width: int, height: int) -> bytes:
    """A PNG file with transparent ground, of loudest samples from 0 to 1 in their order."""
    columns = []
    for x in range(width):
        here = peaks[x * len(peaks) // width : max((x + 1) * len(peaks) // width, 1)]
        loudest = max(here, default=peaks[x * len(peaks) // width] if peaks else 0.0)
        columns.append(round(min(loudest, 1.0) * (height - 2) / 2))
    upper = [
        b"".join(INK if height // 2 - 1 - y <= tall else CLEAR for tall in columns)
        for y in range(height // 2)
    ]
    frame = VideoFrame(width, 2 * len(upper), "rgba")
    frame.planes[0].update(_padded([*upper, *reversed(upper)], frame.planes[0].line_size))
    encoder = VideoCodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "rgba"
    encoder.time_base = Fraction(1, 25)
    return b"".join(bytes(packet) for what in (frame, None) for packet in encoder.encode(what))


def _padded(rows: Sequence[bytes], line: int) -> bytes:
    return b"".join(row.ljust(line, b"\0") for row in rows)
