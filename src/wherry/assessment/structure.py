"""Checks whether a file is as long as its container declares, by the lengths of its units.

Rule 1: a container that declares more bytes than the file has is truncated, whatever else it
declares. A container that declares nothing, or that cannot be parsed, is not.

Rule 2: reading stops after a number of units; a hostile file may have any number.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wherry.assessment.mp4 import read_movie
from wherry.assessment.reading import Bytes, reading

#: How many units are read; a day of fragments of a second has 86,400 times two.
UNITS = 500_000
#: Boxes whose loss is the loss of media; behind them cameras leave what is no box at all.
BOXES = frozenset((b"moov", b"mdat", b"moof", b"mfra"))
OTHER_BOXES = frozenset(
    b"ftyp styp free skip wide uuid sidx ssix emsg prft pdin udta pnot PICT meta".split()
)
SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
DATA_OF_ASF = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
#: The size of a packet of a transport stream, with what recorders put before or behind it.
TS_PACKETS = (188, 192, 204)
#: How many packets in a row begin with their mark where it is no accident.
MARKS = 5
#: How much is read at a time.
READ = 1 << 20


#: Where the unit that begins at this place ends; None if there is none.
Step = Callable[[Bytes, int], "int | None"]


def missing_bytes(file: str) -> int:
    """How many bytes the container of `file` announces behind its end."""
    with reading(file) as data:
        step = _step(data.read(16, 0))
        ends = [0 if step is None else _walk(step, data)]
        if step is _box:
            ends.append(read_movie(file).announced)
        elif step is _tag:
            ends.append(_written(data))
        return max(*ends, data.length) - data.length


@dataclass(frozen=True, slots=True)
class Packets:
    """Whether the last packet is cut off, and how many bytes are in none."""

    cut_off: bool = False
    skipped: int = 0


def read_packets(file: str) -> Packets:
    """Follow the packets of `file` if it is a transport stream, or Ogg."""
    with reading(file) as data:
        return _read_pages(data) if data.read(4, 0) == b"OggS" else _read_transport(data)


def _read_transport(data: Bytes) -> Packets:
    at, size = _synchronise(data, 0)
    skipped = 0
    while size:
        lost = _follow(data, at, size)
        if lost >= data.length:
            return Packets((data.length - at + (4 if size == 192 else 0)) % size != 0, skipped)
        at, size = _synchronise(data, lost)
        # Less is what a recording was cut in, that another one was joined to.
        gap = (at if size else data.length) - lost
        if gap > max(TS_PACKETS) and (size or not _is_padding(data, lost)):
            skipped += gap
    return Packets(at > 0 and data.length > MARKS * max(TS_PACKETS), skipped)


def _is_padding(data: Bytes, at: int) -> bool:
    """Whether nothing but one byte comes from here on: the room that a recorder had taken."""
    one = data.read(1, at)
    while chunk := data.read(READ, at):
        if chunk.strip(one):
            return False
        at += len(chunk)
    return True


def _read_pages(data: Bytes) -> Packets:
    at = skipped = 0
    for _ in range(UNITS):
        end = _page(data, at) if at < data.length else data.length
        if end is None:
            end = _find(data, b"OggS", at)
            skipped += end - at
        if end >= data.length:
            break
        at = end
    return Packets(skipped=skipped)


def _find(data: Bytes, mark: bytes, at: int) -> int:
    while chunk := data.read(READ, at):
        found = chunk.find(mark)
        if found >= 0:
            return at + found
        at += max(len(chunk) - len(mark) + 1, 1)
    return data.length


def _synchronise(data: Bytes, at: int) -> tuple[int, int]:
    """Where packets begin again, and how far they are apart; 0 if they do not."""
    while at < data.length:
        chunk = data.read(READ, at)
        for first in _marks(chunk):
            for size in TS_PACKETS:
                begins = chunk[first : first + MARKS * size : size]
                if len(begins) == MARKS and not begins.strip(b"G"):
                    return at + first, size
        at += max(len(chunk) - MARKS * max(TS_PACKETS), 1)
        if len(chunk) < READ:
            break
    return data.length, 0


def _marks(chunk: bytes) -> Iterator[int]:
    at = chunk.find(b"G")
    while at >= 0:
        yield at
        at = chunk.find(b"G", at + 1)


def _follow(data: Bytes, at: int, size: int) -> int:
    """Where the first packet without its mark is, or behind the end."""
    while at < data.length:
        begins = data.read(READ // size * size, at)[::size]
        good = len(begins) - len(begins.lstrip(b"G"))
        at += good * size
        if good < len(begins):
            return at
    return data.length


def _step(head: bytes) -> Step | None:
    if head[4:8] in BOXES | OTHER_BOXES:
        return _box
    if head[:4] in (b"RIFF", b"FORM"):
        return _riff
    if head[:4] == b"\x1aE\xdf\xa3":
        return _element
    if head[:3] == b"FLV":
        return _tag
    if head[:4] == b"OggS":
        return _page
    if head[:4] == b"\x30\x26\xb2\x75":
        return _object
    if head[:4] == b"\x06\x0e\x2b\x34":
        return _triplet
    return OTHER_STEPS.get(head[:4])


def _walk(step: Step, data: Bytes) -> int:
    at = 0
    for _ in range(UNITS):
        end = step(data, at) if at < data.length else None
        if end is None:
            return at
        at = end
    return 0


def _box(data: Bytes, at: int) -> int | None:
    """ISO/IEC 14496-12, section 4.2."""
    head = data.read(16, at)
    length, header, name = int.from_bytes(head[:4], "big"), 8, head[4:8]
    if name not in BOXES | OTHER_BOXES:
        return None
    if length == 0:
        # "if size is 0, then this box is the last one in the file"
        return data.length
    if length == 1:
        length, header = int.from_bytes(head[8:16], "big"), 16
    end = at + length
    if name not in BOXES:
        end = min(end, data.length)
    return end if length >= header else None


def _riff(data: Bytes, at: int) -> int | None:
    name = data.read(4, at)
    size = data.number(4, at + 4, "little" if name == b"RIFF" else "big")
    # A writer to a pipe does not know the size, and writes 0 or the largest possible number.
    if name not in (b"RIFF", b"FORM") or size in (0, 0x7FFFFFFF) or size >= 0xFFFFFF00:
        return None
    return at + 8 + size


def _element(data: Bytes, at: int) -> int | None:
    """RFC 8794: an identifier and a size, each of as many bytes as its first one says."""
    head = data.read(16, at)
    if not head or not head[0]:
        return None
    width = 9 - head[0].bit_length()
    if width > 4 or len(head) <= width or not head[width]:
        return None
    identifier = int.from_bytes(head[:width], "big")
    size_width = 9 - head[width].bit_length()
    unknown = (1 << 7 * size_width) - 1
    size = int.from_bytes(head[width : width + size_width], "big") & unknown
    begin = at + width + size_width
    if size != unknown:
        return begin + size
    # What is written as it is recorded has segments and clusters of unknown size.
    return begin if identifier in (SEGMENT, CLUSTER) else None


def _tag(data: Bytes, at: int) -> int | None:
    if at == 0:
        return data.number(4, 5) + 4
    kind, size = data.read(1, at), data.number(3, at + 1)
    if not kind or kind[0] & 0x1F not in (8, 9, 18):
        return None
    # Behind each tag stands its size once more; some recorders leave out the last one.
    end = at + 11 + size
    return end + 4 if end + 4 <= data.length else end


def _written(data: Bytes) -> int:
    """The size that the first tag of an FLV file says the whole has; 0 without one."""
    first = data.read(READ, 0)
    at = first.find(b"\x08filesize\0")
    value = first[at + 10 : at + 18] if at >= 0 else b""
    size = struct.unpack(">d", value)[0] if len(value) == 8 else 0.0
    return int(size) if 0 < size < 1 << 53 else 0


def _page(data: Bytes, at: int) -> int | None:
    """RFC 3533, section 6."""
    head = data.read(27 + 255, at)
    if len(head) < 27 or head[:4] != b"OggS":
        return None
    count = head[26]
    return at + 27 + count + sum(head[27 : 27 + count])


def _object(data: Bytes, at: int) -> int | None:
    name, size = data.read(16, at), data.number(8, at + 16, "little")
    if size < 24 or (at and name != DATA_OF_ASF and at + size > data.length):
        return None
    return at + size


def _triplet(data: Bytes, at: int) -> int | None:
    """SMPTE ST 336: a key of 16 bytes, a length, a value."""
    if data.read(4, at) != b"\x06\x0e\x2b\x34":
        return None
    first = data.number(1, at + 16)
    if first < 0x80:
        return at + 17 + first
    width = first & 0x7F
    return at + 17 + width + data.number(width, at + 17) if 0 < width <= 8 else None


def _chunk(data: Bytes, at: int) -> int | None:
    """Apple's Core Audio Format."""
    if at == 0:
        return 8
    size = data.number(8, at + 4)
    # -1 is the last chunk of who did not know its size.
    return at + 12 + size if size < 1 << 63 and data.read(4, at).isalnum() else None


def _whole(data: Bytes, at: int) -> int | None:
    """Wave64: the size of all stands behind its name of sixteen bytes."""
    size = data.number(8, 16, "little")
    return size if at == 0 and 40 < size < 1 << 62 else None


def _picture(data: Bytes, at: int) -> int | None:
    """IVF: a header of 32 bytes, then pictures with 12 bytes before each."""
    return 32 if at == 0 else at + 12 + data.number(4, at, "little")


OTHER_STEPS = {b"caff": _chunk, b"riff": _whole, b"DKIF": _picture}
