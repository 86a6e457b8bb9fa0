"""Reads the file, in the child of a step.

A file is named by its path; by `fd:N`, a descriptor that is open; or by `ranges:N:M`, a copy of
which this machine has only some bytes, open as the descriptor N, and a socket M to the worker.

Rule 1: before bytes of such a copy are read, the worker is asked for them. What was never asked
for reads as zeros, so nothing reads the file but what is here, and FFmpeg where `fd:N` is open.
"""

from __future__ import annotations

import errno
import io
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Literal

from wherry.core.limits import MiB

#: A question: where bytes begin, and how many. The answer: from where to where bytes are there.
QUESTION, ANSWER = struct.Struct("=QQ"), struct.Struct("=QQ")
#: Bytes come in blocks of this size; so much is asked for at once, at most.
BLOCK = LARGEST_QUESTION = MiB


class Channel:
    """The step's end of the socket on which it asks its worker for bytes."""

    def __init__(self, descriptor: int, length: int) -> None:
        self._descriptor, self._length = descriptor, length
        self._there = bytearray(-(-length // BLOCK))
        self._lock = Lock()

    def ensure(self, at: int, count: int) -> None:
        """Return when these bytes, as far as the file has them, are there. Raises `OSError`."""
        at, end = max(at, 0), min(at + count, self._length)
        with self._lock:
            while at < end:
                if not self._there[at // BLOCK]:
                    self._ask(at, min(end - at, LARGEST_QUESTION))
                at = (at // BLOCK + 1) * BLOCK

    def _ask(self, at: int, count: int) -> None:
        os.write(self._descriptor, QUESTION.pack(at, count))
        answer = b""
        while len(answer) < ANSWER.size:
            got = os.read(self._descriptor, ANSWER.size - len(answer))
            if not got:
                raise OSError(errno.EIO, "the worker does not answer")
            answer += got
        begin, end = ANSWER.unpack(answer)
        first, last = begin // BLOCK, -(-end // BLOCK)
        self._there[first:last] = b"\1" * (last - first)


@dataclass(frozen=True, slots=True)
class Bytes:
    """The file, by its descriptor, to be read at any place."""

    descriptor: int
    length: int
    channel: Channel | None = None

    def read(self, count: int, at: int) -> bytes:
        """So many bytes from `at` on; fewer at the end of the file."""
        if self.channel is not None:
            self.channel.ensure(at, count)
        return os.pread(self.descriptor, count, at)

    def number(self, count: int, at: int, order: Literal["big", "little"] = "big") -> int:
        """The number that these bytes are."""
        return int.from_bytes(self.read(count, at), order)


class Reader(io.RawIOBase):
    """The file as an object of Python, for `av.open` and others."""

    #: As FFmpeg is told for a descriptor: it judges a file by its name, too.
    name = "fd:"

    def __init__(self, data: Bytes) -> None:
        super().__init__()
        self._data, self._at = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._data.length}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "negative position")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return self.readall()
        data = self._data.read(size, self._at)
        self._at += len(data)
        return data

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def is_open(file: str) -> bool:
    """Whether `file` is open already, and may not be opened by its name."""
    return file.startswith(("fd:", "ranges:"))


def is_by_ranges(file: str) -> bool:
    """Whether this machine has only some bytes of `file`."""
    return file.startswith("ranges:")


def name_of(descriptor: int, channel: int | None) -> str:
    """The name of the file that is open as `descriptor`; `channel`: if bytes are asked for."""
    return f"fd:{descriptor}" if channel is None else f"ranges:{descriptor}:{channel}"


@contextmanager
def reading(file: str) -> Iterator[Bytes]:
    """The bytes of `file`, which is a path, `fd:N` or `ranges:N:M`."""
    kind, _, numbers = file.partition(":")
    if kind == "fd":
        yield _bytes(int(numbers))
    elif kind == "ranges":
        descriptor, channel = (int(number) for number in numbers.split(":"))
        yield Bytes(descriptor, _length(descriptor), _channel(channel, _length(descriptor)))
    else:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            yield _bytes(descriptor)
        finally:
            os.close(descriptor)


def _bytes(descriptor: int) -> Bytes:
    return Bytes(descriptor, _length(descriptor))


def _length(descriptor: int) -> int:
    return os.fstat(descriptor).st_size


@cache
def _channel(descriptor: int, length: int) -> Channel:
    """One for each socket, so that it is not asked twice for what is there."""
    return Channel(descriptor, length)
