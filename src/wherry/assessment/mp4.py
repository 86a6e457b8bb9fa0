"""The order of the boxes in an MP4 or QuickTime file (ISO/IEC 14496-12, section 4.2)."""

from __future__ import annotations

import os
from collections.abc import Iterator

#: A hostile file may have any number of boxes; a real one has a handful.
BOXES = 64


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
    """The names of the outermost boxes of `file`, a path or `fd:N`; empty for another kind."""
    if file.startswith("fd:"):
        return _known(int(file.removeprefix("fd:")))
    descriptor = os.open(file, os.O_RDONLY)
    try:
        return _known(descriptor)
    finally:
        os.close(descriptor)


def _known(descriptor: int) -> list[bytes]:
    names = list(_boxes(descriptor))
    return names if names and names[0] in (b"ftyp", b"moov", b"wide", b"mdat") else []


def _boxes(descriptor: int) -> Iterator[bytes]:
    at = 0
    for _ in range(BOXES):
        head = os.pread(descriptor, 16, at)
        if len(head) < 8:
            return
        yield head[4:8]
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            # "if size is 1 then the actual size is in the field largesize"
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            # "if size is 0, then this box is the last one in the file"
            return
        at += length
        if at > os.fstat(descriptor).st_size:
            return
