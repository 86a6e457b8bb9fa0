"""What can be said of a video with the standard library: size, hash, an MP4's duration."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO


def describe(path: Path) -> dict[str, Any]:
    """Size in bytes, SHA-256, and the duration in seconds, or None where it is not told."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
        return {"size": size, "sha256": digest, "duration": _duration(file, size)}


def _duration(file: BinaryIO, size: int) -> float | None:
    """What the movie header box says (ISO 14496-12: moov, in it mvhd)."""
    for kind, start, end in _boxes(file, 0, size):
        if kind != b"moov":
            continue
        for inner, at, _ in _boxes(file, start, end):
            if inner == b"mvhd":
                file.seek(at)
                is_long = file.read(1) == b"\x01"
                file.seek(at + (20 if is_long else 12))
                scale = int.from_bytes(file.read(4), "big")
                duration = int.from_bytes(file.read(8 if is_long else 4), "big")
                return duration / scale if scale else None
    return None


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Each box between two offsets: its kind, where its content begins and ends."""
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        size, kind, header = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
        if size < header:
            return
        yield kind, start + header, min(start + size, end)
        start += size
