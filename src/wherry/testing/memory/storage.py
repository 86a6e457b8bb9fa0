"""Bytes in memory, for tests: quick to fill up, gone at the end.

Rule 1: the promises are those of every storage, but that bytes outlive the process.

Rule 2: what somebody else opens by path is a real file, in the folder that is
given: finished files, and a copy of unfinished bytes for whoever asks for their path.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from wherry.core.admission import Space
from wherry.core.errors import DiskFull
from wherry.core.limits import GiB
from wherry.core.ranges import Range
from wherry.storage import Capabilities, RangeLocked, Vanished, Writer
from wherry.storage.names import check_suffix, check_upload_id


class _Place:
    """The bytes of one unfinished upload; what was never written is zero."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.data = bytearray()
        self.touched = time.time()
        self.locked: list[Range] = []

    def write(self, at: int, data: memoryview) -> None:
        self.data.extend(bytes(max(at - len(self.data), 0)))
        self.data[at : at + len(data)] = data
        self.touched = time.time()

    def whole(self) -> bytes:
        return bytes(self.data).ljust(self.length, b"\0")


class MemoryStorage:
    """A volume of `capacity` bytes; `folder` is for what has to be a file."""

    capabilities = Capabilities(reserves=True, locks_ranges=True, durable=False)

    def __init__(self, folder: Path, capacity: int = GiB) -> None:
        self._folder = folder
        self._capacity = capacity
        self._places: dict[str, _Place] = {}
        self._lock = Lock()
        self._exclusive = Lock()
        self._claimed: set[str] = set()

    def check(self) -> list[str]:
        """Make the folder. Raises `OSError`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return ["Uploads are kept in memory: a restart loses them."]

    def present(self) -> None:
        """Nothing: memory is never away."""

    def space(self) -> Space:
        """`capacity`, and what neither places nor finished files take of it."""
        with self._lock:
            return self._space()

    def _space(self) -> Space:
        finished = sum(file.stat().st_size for file in self._folder.glob("finished-*"))
        reserved = sum(place.length for place in self._places.values())
        return Space(self._capacity, self._capacity - finished - reserved)

    def exclude(self) -> AbstractContextManager[object] | None:
        """The right to promise space, of one at a time; None while another has it."""
        if not self._exclusive.acquire(blocking=False):
            return None
        stack = ExitStack()
        stack.callback(self._exclusive.release)
        return stack

    def claim(self, upload_id: str) -> AbstractContextManager[object] | None:
        """The right to end this upload, of one caller at a time; None while another has it."""
        with self._lock:
            if check_upload_id(upload_id) in self._claimed:
                return None
            self._claimed.add(upload_id)
        stack = ExitStack()
        stack.callback(self._claimed.discard, upload_id)
        return stack

    def reserve(self, upload_id: str, length: int) -> None:
        """Make a place of `length` bytes; called again, keep what is in it. Raises `DiskFull`."""
        check_upload_id(upload_id)
        with self._lock:
            place = self._places.get(upload_id)
            if length - (place.length if place else 0) > self._space().free:
                raise DiskFull
            if place is None:
                self._places[upload_id] = _Place(length)
            else:
                place.length = max(place.length, length)

    def open(self, upload_id: str, within: Range) -> Writer:
        """Open a range for writing. Raises `Vanished`, `RangeLocked`."""
        with self._lock:
            place = self._place(upload_id)
            if any(within.overlaps(locked) for locked in place.locked):
                raise RangeLocked(upload_id)
            place.locked.append(within)
            return _Writer(self, upload_id, place, within)

    def head(self, upload_id: str, size: int) -> bytes:
        """The first bytes, at most `size`. Raises `Vanished`."""
        with self._lock:
            return self._place(upload_id).whole()[:size]

    def unfinished_path(self, upload_id: str) -> Path:
        """A copy of the bytes as they are now; made anew each time, and only if there are any."""
        path = self._folder / f"unfinished-{check_upload_id(upload_id)}"
        with self._lock:
            if upload_id in self._places:
                path.write_bytes(self._places[upload_id].whole())
        return path

    def finish(self, upload_id: str, suffix: str, length: int) -> Path:
        """Write the finished file. Called again, finds it. Raises `Vanished`, `OSError`."""
        target = self.finished_path(upload_id, suffix)
        with self._lock:
            place = self._places.get(upload_id)
            if place is None and target.exists():
                return target
            if place is None:
                raise Vanished(upload_id)
            if place.length < length:
                raise OSError(errno.EIO, f"{place.length} bytes are left of {length}")
            # Named as finished only when it is whole, so a crash leaves no half file.
            fresh = self._folder / f"unfinished-{upload_id}"
            fresh.write_bytes(place.whole()[:length])
            fresh.rename(target)
            del self._places[upload_id]
        return target

    def finished_path(self, upload_id: str, suffix: str) -> Path:
        """Where `finish` puts the file."""
        return self._folder / f"finished-{check_upload_id(upload_id)}{check_suffix(suffix)}"

    def delete(self, upload_id: str) -> None:
        """Remove the unfinished bytes; without effect if there are none."""
        check_upload_id(upload_id)
        with self._lock:
            self._places.pop(upload_id, None)
            (self._folder / f"unfinished-{upload_id}").unlink(missing_ok=True)

    def is_finished(self, upload_id: str, suffix: str) -> bool:
        """Whether the finished file is there. Raises `OSError` where that cannot be known."""
        found = self.finished_path(upload_id, suffix).is_file()
        self._folder.stat()
        return found

    def discard(self, upload_id: str, suffix: str) -> None:
        """Remove the finished file; without effect if there is none."""
        self.finished_path(upload_id, suffix).unlink(missing_ok=True)

    def unfinished(self) -> Iterator[tuple[str, float]]:
        """Every upload with unfinished bytes, and when they last changed (Unix seconds)."""
        with self._lock:
            return iter([(upload_id, place.touched) for upload_id, place in self._places.items()])

    def _place(self, upload_id: str) -> _Place:
        try:
            return self._places[check_upload_id(upload_id)]
        except KeyError:
            raise Vanished(upload_id) from None

    def _write(self, place: _Place, at: int, data: memoryview) -> None:
        with self._lock:
            place.write(at, data)

    def _has(self, upload_id: str, place: _Place) -> bool:
        with self._lock:
            return self._places.get(upload_id) is place

    def _release(self, place: _Place, within: Range) -> None:
        with self._lock:
            place.locked.remove(within)


class _Writer:
    """An open range of a place."""

    def __init__(
        self, storage: MemoryStorage, upload_id: str, place: _Place, within: Range
    ) -> None:
        self._storage = storage
        self._upload_id = upload_id
        self._place = place
        self._within = within

    def write(self, at: int, data: memoryview) -> None:
        """Put all of `data` at byte `at`. Raises `ValueError` outside the range."""
        if at < self._within.start or at + len(data) > self._within.end:
            raise ValueError(f"{len(data)} bytes at {at} are outside of {self._within}")
        self._storage._write(self._place, at, data)

    def sync(self) -> None:
        """Nothing to make safe. Raises `OSError` when the upload was removed meanwhile."""
        if not self._storage._has(self._upload_id, self._place):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._upload_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._storage._release(self._place, self._within)
