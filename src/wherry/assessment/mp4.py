"""Reads boxes of MP4 and QuickTime files (ISO/IEC 14496-12) that FFmpeg does not expose.

Rule 1: a hostile file may have any number of boxes at any depth; only so many are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from wherry.assessment.reading import Bytes, reading

#: A real file has a handful of outer boxes before its fragments, and some hundred within.
BOXES = 64
INNER = 20_000
#: Boxes that hold others, as far as they are of interest.
PARENTS = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex"))
#: Sample entries of encrypted tracks: Common Encryption (ISO/IEC 23001-7), and FairPlay.
ENCRYPTED = frozenset((b"encv", b"enca", b"enct", b"encs", b"drmi", b"drms"))


@dataclass(slots=True)
class Movie:
    """The index of a file."""

    brand: bytes = b""
    #: The media comes in fragments, and the index does not know how many.
    fragmented: bool = False
    #: How long all fragments are together, in seconds, where the index says it.
    fragments: float | None = None
    #: The identifiers of encrypted tracks.
    encrypted: set[int] = field(default_factory=set)
    #: How long the parts of each track are together, by segment indexes; in seconds.
    indexed: dict[int, float] = field(default_factory=dict)
    #: Where the last of these parts ends in the file, in bytes.
    announced: int = 0


def is_faststart(names: list[bytes]) -> bool | None:
    """Whether the index lies before the media, so that playing can begin while loading.

    None for a file of another kind.
    """
    if b"moov" not in names or b"mdat" not in names:
        return None
    return names.index(b"moov") < names.index(b"mdat")


def is_without_index(names: list[bytes]) -> bool:
    """Whether this is such a file, but has lost the index without which nothing can be played."""
    return b"ftyp" in names and b"moov" not in names


def boxes(file: str) -> list[bytes]:
    """The names of the outermost boxes of `file`; empty for another kind."""
    with reading(file) as data:
        names = [name for name, _, _ in _boxes(data, 0, None, BOXES)]
    return names if names and names[0] in (b"ftyp", b"moov", b"wide", b"mdat") else []


def read_movie(file: str) -> Movie:
    """What the index of `file`, a path or `fd:N`, says; an empty one for another kind of file."""
    movie = Movie()
    with reading(file) as data:
        for name, at, end in _boxes(data, 0, None, BOXES):
            if name == b"ftyp":
                movie.brand = data.read(4, at)
            elif name == b"sidx":
                _read_segments(data.read(min(end - at, 1 << 20), at), end, movie)
            elif name == b"moov":
                _read_index(data, at, end, movie)
    return movie


def _boxes(data: Bytes, at: int, end: int | None, count: int) -> Iterator[tuple[bytes, int, int]]:
    """Boxes that follow each other: the name, and where the content begins and ends."""
    end = data.length if end is None else min(end, data.length)
    for _ in range(count):
        head = data.read(16, at) if at < end else b""
        if len(head) < 8:
            return
        size, begin = int.from_bytes(head[:4], "big"), at + 8
        if size == 1:
            # "if size is 1 then the actual size is in the field largesize"
            size, begin = int.from_bytes(head[8:16], "big"), at + 16
        elif size == 0:
            # "if size is 0, then this box is the last one in the file"
            size = data.length - at
        yield head[4:8], begin, at + size
        if size < 8:
            return
        at += size


def _within(data: Bytes, at: int, end: int, left: list[int]) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of the index in their order, those that hold others before what they hold."""
    for name, begin, stop in _boxes(data, at, end, left[0]):
        left[0] -= 1
        yield name, begin, stop
        if name in PARENTS:
            yield from _within(data, begin, min(stop, end), left)


def _read_index(data: Bytes, at: int, end: int, movie: Movie) -> None:
    track = scale = 0
    for name, begin, stop in _within(data, at, end, [INNER]):
        head = data.read(32, begin)
        # Version 1 has times of 64 bits.
        wide = 8 if head[:1] == b"\1" else 0
        if name == b"mvhd":
            scale = int.from_bytes(head[12 + wide : 16 + wide], "big")
        elif name == b"mvex":
            movie.fragmented = True
        elif name == b"mehd" and scale:
            movie.fragments = int.from_bytes(head[4 : 8 + wide // 2], "big") / scale
        elif name == b"tkhd":
            track = int.from_bytes(head[12 + wide : 16 + wide], "big")
        elif name == b"stsd":
            entries = _boxes(data, begin + 8, stop, 8)
            if any(entry in ENCRYPTED for entry, _, _ in entries):
                movie.encrypted.add(track)


def _read_segments(data: bytes, end: int, movie: Movie) -> None:
    """Section 8.16.3; `end` is where the box ends."""
    wide = 8 if data[:1] == b"\1" else 0
    track, scale = (int.from_bytes(data[at : at + 4], "big") for at in (4, 8))
    at = 20 + wide
    offset = int.from_bytes(data[16 + wide // 2 : at], "big")
    count = int.from_bytes(data[at + 2 : at + 4], "big")
    parts = [data[first : first + 12] for first in range(at + 4, at + 4 + 12 * count, 12)]
    sizes = [int.from_bytes(part[:4], "big") for part in parts if len(part) == 12]
    if not scale or any(size >> 31 for size in sizes):
        # The index of an index.
        return
    lasting = sum(int.from_bytes(part[4:8], "big") for part in parts)
    movie.indexed[track] = movie.indexed.get(track, 0.0) + lasting / scale
    movie.announced = max(movie.announced, end + offset + sum(sizes))
