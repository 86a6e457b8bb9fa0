"""Bytes that are no whole part yet: objects, from which a part is put together.

    fragments/<upload_id>/<token>/<part>/<start>-<end>-<crc>   some bytes of a part
    fragments/<upload_id>/<token>/<part>/assembling            one process puts the part together
    fragments/<upload_id>/<token>/head                         the first bytes of the file

Rule 1: a fragment's name says which bytes it has, and their CRC. So one listing tells whether a
part is whole, and the CRC of the part needs no reading.

Rule 2: fragments go only after their part is there. A crash between the two leaves fragments, which
are deleted with the upload.

Rule 3: bytes in fragments are safe, so putting them together can wait. A request that finds another
one at it leaves it to that one. Completion puts together what is left.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from wherry.core.digests import crc64
from wherry.core.ranges import Range
from wherry.storage.s3.bucket import Bucket
from wherry.storage.s3.errors import translated
from wherry.storage.s3.markers import new_token
from wherry.storage.s3.parts import Fragment

FOLDER = "fragments/"
_ASSEMBLING = "assembling"
#: A process that puts a part together for longer than this has died, in seconds.
ASSEMBLING_FOR = 60.0


class Fragments:
    """The fragments of one upload, begun with `token`."""

    def __init__(self, bucket: Bucket, upload_id: str, token: str) -> None:
        self._bucket = bucket
        self._folder = f"{FOLDER}{upload_id}/{token}/"

    def put(self, number: int, fragment: Fragment, data: memoryview) -> None:
        """Keep some bytes of part `number`. Raises `OSError`."""
        self._bucket.put(self._key(number, fragment.name), data, fragment.crc)

    def of(self, number: int) -> tuple[list[Fragment], bool]:
        """The fragments of a part, the newest first; and whether a process puts it together."""
        folder, found, is_assembling = self._key(number, ""), [], False
        for key, at, _ in self._bucket.list(folder):
            name = key.removeprefix(folder)
            if name == _ASSEMBLING:
                is_assembling = time.time() - at <= ASSEMBLING_FOR
            elif (fragment := Fragment.parse(name)) is not None:
                found.append((at, fragment))
        found.sort(key=lambda each: each[0], reverse=True)
        return [fragment for _, fragment in found], is_assembling

    def claim(self, number: int) -> bool:
        """Whether this request is the one that puts the part together."""
        return self._bucket.put_new(self._key(number, _ASSEMBLING), b"", 0, new_token())

    def delete(self, number: int, row: Sequence[Fragment]) -> None:
        """Delete these fragments, whose part is there."""
        names = (*(fragment.name for fragment in row), _ASSEMBLING)
        self._bucket.delete([self._key(number, name) for name in names])

    def stream(self, number: int, row: Sequence[Fragment]) -> io.BufferedIOBase:
        """The bytes of fragments that follow each other, as one file."""
        keys = [self._key(number, fragment.name) for fragment in row]
        return _Row(self._bucket, list(zip(keys, row, strict=True)))

    @property
    def head_key(self) -> str:
        return f"{self._folder}head"

    def put_head(self, data: bytes) -> None:
        """Keep the first bytes of the file so that they can be read."""
        self._bucket.put(self.head_key, data, crc64(data))

    def head(self, size: int) -> bytes | None:
        """The first bytes of the file, at most `size`; None if they were not kept."""
        with suppress(FileNotFoundError):
            return self._bucket.read(self.head_key)[:size]
        return None

    def head_of(self, row: Sequence[Fragment], size: int) -> bytes:
        """The first bytes of fragments that follow each other from byte 0 on."""
        head = b""
        for fragment in row:
            end = min(fragment.end, size)
            if fragment.start < end:
                within = Range(0, end - fragment.start)
                head += self._bucket.read(self._key(1, fragment.name), within)
        return head

    def _key(self, number: int, name: str) -> str:
        return f"{self._folder}{number:05}/{name}"


def rows_from(fragments: Sequence[Fragment], within: Range) -> list[Fragment]:
    """Fragments that follow each other from the start of `within`, as far as they reach."""
    row, at = list[Fragment](), within.start
    while (step := next((f for f in fragments if f.start == at), None)) is not None:
        row.append(step)
        at = step.end
        if at >= within.end:
            break
    return row


class _Row(io.BufferedIOBase):
    """Reads one object after the other; botocore seeks back to try again."""

    def __init__(self, bucket: Bucket, objects: Sequence[tuple[str, Fragment]]) -> None:
        super().__init__()
        self._bucket = bucket
        self._objects = objects
        self._next = 0
        self._position = 0
        self._body: IO[bytes] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Only to the beginning."""
        if offset or whence != io.SEEK_SET:
            raise io.UnsupportedOperation("these bytes are read from the beginning only")
        self._let_go()
        self._next = self._position = 0
        return 0

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes, also across two objects; none only at the end."""
        left = -1 if size is None else size
        pieces: list[bytes] = []
        while left:
            if self._body is None:
                if self._next == len(self._objects):
                    break
                self._body = self._bucket.get(self._objects[self._next][0])
                self._next += 1
            with translated("reading", self._bucket.where(self._objects[self._next - 1][0])):
                piece = self._body.read(left) if left > 0 else self._body.read()
            if piece:
                pieces.append(piece)
                left -= len(piece) if left > 0 else 0
            else:
                self._let_go()
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._position += len(data)
        return data

    def close(self) -> None:
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
