"""A copy, on the worker's machine, of a file that is elsewhere; it gets bytes as steps need them.

Rule 1: every byte is read from storage once, at most; only what came before an error is lost.

Rule 2: where bytes cannot be had, the step has no result: nothing is known about the file then.
The first error stays in `failure` for the worker, and every method raises `Interrupted`.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Protocol, Self

from wherry.assessment.reading import BLOCK
from wherry.core.ranges import Range
from wherry.storage import StoredFile

#: How folders begin that hold what steps need while they run.
SCRATCH = ".step-"
#: The most blocks that are read at once because the file is read from front to back.
MOST_AHEAD = 8


class Interrupted(BaseException):
    """The step has no result: its worker ends, or has lost the lease, or cannot have the file.

    It is no `Exception`, so that it is never recorded as a result.
    """


class Partial(Protocol):
    """A file of which not all bytes are on this machine. Its methods block."""

    @property
    def path(self) -> Path: ...

    @property
    def length(self) -> int: ...

    @property
    def waited(self) -> float:
        """How long bytes were waited for until now, in seconds."""

    def open(self) -> int:
        """A descriptor for reading, to close. Raises `Interrupted`, `OSError`."""

    def fetch(self, at: int, count: int) -> tuple[int, int]:
        """Get these bytes; where what need not be asked for again begins and ends.

        Raises `Interrupted`.
        """

    def fetch_all(self) -> None:
        """Get all that is not there yet. Raises `Interrupted`."""


class PartialCopy:
    """Its methods block and may be called on any thread. `close` it when no step needs it."""

    def __init__(self, file: StoredFile, length: int, path: Path) -> None:
        """Use `make`."""
        self.path, self.length = path, length
        #: Why bytes could not be had.
        self.failure: OSError | None = None
        #: How long it took to read from storage until now, in seconds.
        self.waited = 0.0
        self._file = file
        self._there = bytearray(-(-length // BLOCK))
        self._ahead, self._next = 1, -1
        self._lock = Lock()
        self._closed = False
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    @classmethod
    def make(cls, file: StoredFile, length: int, scratch: Path, name: str) -> Self:
        """An empty copy as `name`, in a folder of its own in `scratch`. Raises `OSError`.

        It has the length of the file, and takes the room of those bytes that it has.
        """
        scratch.mkdir(parents=True, exist_ok=True)
        # A crash here leaves a folder that is never read; `remove_scratch` removes it.
        folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=scratch))
        copy = cls(file, length, folder / name)
        try:
            os.ftruncate(copy._descriptor, length)
        except OSError:
            copy.close()
            raise
        return copy

    def open(self) -> int:
        """A descriptor for reading, to close. Raises `Interrupted`, `OSError`."""
        self._check()
        try:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if not self._closed and self.failure is None:
                self.failure = OSError(errno.EIO, "the worker's copy of the file was removed")
            raise Interrupted from None

    def fetch(self, at: int, count: int) -> tuple[int, int]:
        """Get these bytes, at least one, of the file; return where what is there begins and ends.

        Raises `Interrupted`.
        """
        first, last = at // BLOCK, -(-(at + count) // BLOCK)
        with self._held():
            while (missing := self._there.find(0, first, last)) >= 0:
                self._ahead = min(2 * self._ahead, MOST_AHEAD) if missing == self._next else 1
                self._get(missing, max(last, missing + self._ahead))
            end = self._there.find(0, last)
        return first * BLOCK, self.length if end < 0 else end * BLOCK

    def fetch_all(self) -> None:
        """Get all that is not there yet. Raises `Interrupted`."""
        with self._held():
            while (missing := self._there.find(0)) >= 0:
                self._get(missing, len(self._there))

    def close(self) -> None:
        """Remove the copy. A step that has it open can read on what is there."""
        self._closed = True
        shutil.rmtree(self.path.parent, ignore_errors=True)
        self._let_go()

    @contextmanager
    def _held(self) -> Iterator[None]:
        try:
            with self._lock:
                self._check()
                yield
        except OSError as error:
            self.failure = self.failure or error
            raise Interrupted from None
        finally:
            self._let_go()

    def _check(self) -> None:
        if self._closed or self.failure is not None:
            raise Interrupted

    def _let_go(self) -> None:
        """Close the descriptor: whoever comes last does, `close` or a thread that reads."""
        if self._closed and self._lock.acquire(blocking=False):
            descriptor, self._descriptor = self._descriptor, -1
            self._lock.release()
            if descriptor >= 0:
                os.close(descriptor)

    def _get(self, block: int, last: int) -> None:
        """Read blocks from `block` up to `last`, or up to the first that is there."""
        known = self._there.find(1, block, last)
        at, end = block * BLOCK, min((last if known < 0 else known) * BLOCK, self.length)
        began = time.monotonic()
        try:
            for data in self._file.read(Range(at, end)):
                self._check()
                at = self._write(data[: end - at], at)
                done = len(self._there) if at == self.length else at // BLOCK
                self._there[block:done] = b"\1" * (done - block)
                block = done
        finally:
            self.waited += time.monotonic() - began
        if at < end:
            raise OSError(errno.EIO, f"the storage has {at} bytes of the {self.length} of the file")
        self._next = block

    def _write(self, data: bytes, at: int) -> int:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, at)
            view, at = view[written:], at + written
        return at
