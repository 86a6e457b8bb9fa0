"""A finished object, to be read.

Rule 1: whoever reads a file from its beginning to its end makes few requests; whoever jumps, as
a decoder of videos does, has little read in vain. So the first request is small, and each that
goes on where the last one ended is twice as large.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, cast
from urllib.parse import quote

from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range
from wherry.storage import Stat
from wherry.storage.localfile import write_whole
from wherry.storage.s3.bucket import Bucket
from wherry.storage.s3.errors import translated

#: Bytes that are handed on at once.
BLOCK = 256 * KiB
#: The first request of a reader that seeks, and the largest one, in bytes.
FIRST, LARGEST = 1 * MiB, 16 * MiB


@dataclass(frozen=True, slots=True)
class S3File:
    bucket: Bucket = field(compare=False, repr=False)
    key: str

    @property
    def local_path(self) -> None:
        return None

    def stat(self) -> Stat | None:
        """Size and age; None if it is not there. Raises `OSError`."""
        found = self.bucket.head(self.key)
        return None if found is None else found.stat

    def open(self) -> BinaryIO:
        """The file for reading and seeking. Raises `FileNotFoundError` and other `OSError`s."""
        found = self.bucket.head(self.key)
        if found is None:
            raise FileNotFoundError(2, "there is no such object", self.bucket.where(self.key))
        reader = io.BufferedReader(_Reader(self.bucket, self.key, found.size), BLOCK)
        return cast("BinaryIO", reader)

    def read(self, within: Range) -> Iterator[bytes]:
        """These bytes, in blocks."""
        try:
            body = self.bucket.get(self.key, within)
        except FileNotFoundError:
            self.bucket.verify()
            raise
        except OSError as error:
            if getattr(error, "code", "") == "InvalidRange":  # it begins behind the end
                return
            raise
        with body, translated("reading", self.bucket.where(self.key)):
            while block := body.read(BLOCK):
                yield block

    def download(self, to: Path) -> None:
        """Copy it to `to`, which appears when the copy is whole."""
        body = self.bucket.get(self.key)
        with body, translated("reading", self.bucket.where(self.key)):
            write_whole(to, cast("BinaryIO", body))

    def url(self, lifetime: int, filename: str, content_type: str) -> str:
        """A presigned address. Raises `OSError` without credentials."""
        disposition = f"attachment; filename*=utf-8''{quote(filename, safe='')}"
        return self.bucket.presigned(
            "get_object",
            self.key,
            lifetime,
            ResponseContentDisposition=disposition,
            ResponseContentType=content_type,
        )


class _Reader(io.RawIOBase):
    def __init__(self, bucket: Bucket, key: str, size: int) -> None:
        super().__init__()
        self._bucket = bucket
        self._key = key
        self._size = size
        self._at = 0
        self._body: IO[bytes] | None = None
        self._body_end = 0
        self._ahead = FIRST

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(22, "negative position")
        if base + offset != self._at:
            self._let_go()
            self._ahead = FIRST
        self._at = base + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Raises `OSError`, also where the object ends early."""
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        if self._body is None:
            self._body_end = min(self._at + self._ahead, self._size)
            self._ahead = min(2 * self._ahead, LARGEST)
            self._body = self._bucket.get(self._key, Range(self._at, self._body_end))
        with translated("reading", self._bucket.where(self._key)):
            data = self._body.read(min(wanted, self._body_end - self._at))
        if not data:
            raise OSError(5, "the object ends early", self._bucket.where(self._key))
        buffer[: len(data)] = data
        self._at += len(data)
        if self._at == self._body_end:
            self._let_go()
        return len(data)

    def close(self) -> None:
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
