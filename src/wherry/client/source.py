"""The file that is being sent.

Rule 1: everything here blocks, and is called on a thread.

Rule 2: only a file that is sent in one request is in memory as a whole. Several threads may read
any other, in any order.

Rule 3: the fingerprint finds the upload again after a crash, without state on this side. It is made
from name, size, time of change and samples of the content, so a file that changed begins a new
upload.
"""

from __future__ import annotations

import hashlib
import io
import mimetypes
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wherry.client.errors import FileChanged
from wherry.core.digests import crc64
from wherry.core.limits import KiB
from wherry.core.ranges import Part, Range

#: Changes with the way in which the fingerprint is made.
FINGERPRINT_VERSION = "w1"
SAMPLES, SAMPLE_SIZE = 8, 64 * KiB


@dataclass(frozen=True, slots=True)
class Whole:
    """A file in memory."""

    data: bytes
    part: Part | None  #: With the CRC of all bytes; None for an empty file.
    fingerprint: str


class Source:
    """A path, or a binary file object that can seek. It is sent whole, from byte 0.

    A file object's position is not kept. `is_small`: whether to read a file of this size into
    memory at once (`whole`). Raises `OSError`, or `TypeError` and `ValueError` for an object that
    is not binary or cannot seek, and `FileChanged`.
    """

    def __init__(
        self,
        file: str | os.PathLike[str] | BinaryIO,
        filename: str | None,
        is_small: Callable[[int], bool] = lambda size: False,
    ) -> None:
        self._own = isinstance(file, str | os.PathLike)
        self._file = _opened(file)
        try:
            _check_kind(self._file)
            if not self._file.seekable():
                raise ValueError(
                    "the file must be seekable: a part of it may have to be sent again"
                )
            self._lock = threading.Lock()
            self.size, self._changed_at = self._stat()
            name = getattr(self._file, "name", None)
            self.name = _readable(
                filename or (Path(name).name if isinstance(name, str) else "upload.bin")
            )
            self.content_type = mimetypes.guess_type(self.name)[0]
            self.whole = self._read_whole() if is_small(self.size) else None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._own:
            self._file.close()

    def take(self, wanted: Range) -> tuple[bytes, Part]:
        """The bytes, and their part with its CRC-64/NVME."""
        data = self.read(wanted)
        return data, Part(wanted.start, wanted.end, crc64(data))

    def read(self, wanted: Range) -> bytes:
        """Raises `FileChanged` if the file has become shorter."""
        parts: list[bytes] = []
        at = wanted.start
        with self._lock:
            self._file.seek(at)
            while at < wanted.end:
                data = self._file.read(wanted.end - at)
                if not data:
                    raise _changed(self.name)
                parts.append(data)
                at += len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_whole(self) -> Whole:
        data, part = self.take(Range(0, self.size)) if self.size else (b"", None)
        self.check_unchanged()
        view = memoryview(data)
        return Whole(data, part, self._fingerprint(lambda r: view[r.start : r.end]))

    def fingerprint(self) -> str:
        return self._fingerprint(self.read)

    def _fingerprint(self, read: Callable[[Range], bytes | memoryview]) -> str:
        found = hashlib.sha256()
        found.update(
            f"{self.name}\0{self.size}\0{self._changed_at}\0".encode(errors="surrogateescape")
        )
        last = max(self.size - SAMPLE_SIZE, 0)
        for start in sorted({last * n // (SAMPLES - 1) for n in range(SAMPLES)}):
            end = min(start + SAMPLE_SIZE, self.size)
            if start < end:
                found.update(read(Range(start, end)))
        return f"{FINGERPRINT_VERSION}-{found.hexdigest()}"

    def check_unchanged(self) -> None:
        """Raises `FileChanged` if size or time of change differ from those at the start."""
        if self._stat() != (self.size, self._changed_at):
            raise _changed(self.name)

    def _stat(self) -> tuple[int, int | None]:
        """The size, and the time of the last change in nanoseconds, if there is one."""
        with self._lock:
            size = self._file.seek(0, io.SEEK_END)
        try:
            return size, os.fstat(self._file.fileno()).st_mtime_ns
        except (OSError, AttributeError):  # an object in memory has no descriptor
            return size, None


def _readable(name: str) -> str:
    """Bytes that are not UTF-8, which a name on Linux may have, become U+FFFD."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _check_kind(file: BinaryIO) -> None:
    """Raises `ValueError` for devices, and for files without a length, as in /proc."""
    try:
        facts = os.fstat(file.fileno())
    except (OSError, AttributeError):
        return  # an object in memory
    if stat.S_ISCHR(facts.st_mode):
        raise ValueError("this is a device without a length, not a file")
    if stat.S_ISREG(facts.st_mode) and facts.st_size == 0 and file.seekable() and file.read(1):
        raise ValueError(
            "the file has content but no length, as those in /proc have; copy it first"
        )


def _opened(file: str | os.PathLike[str] | BinaryIO) -> BinaryIO:
    if isinstance(file, str | os.PathLike):
        return Path(file).open("rb", buffering=0)
    if file.read(0) != b"":
        raise TypeError("the file must be opened in binary mode")
    return file


def _changed(name: str) -> FileChanged:
    return FileChanged(
        f"{name} changed while it was being sent.",
        "The upload was cancelled. Send the file again when no program writes to it any more.",
        "file-changed",
    )
