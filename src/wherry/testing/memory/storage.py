"""A storage in memory, for tests. It keeps the whole contract, but ends with the process.

Rule 1: no file has a path. So a test that passes here shows that the code works with a storage on
other machines, too.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import BinaryIO, Self

from wherry.core.admission import Space
from wherry.core.errors import DiskFull
from wherry.core.limits import GiB
from wherry.core.ranges import Range
from wherry.storage import CannotPut, Capabilities, RangeLocked, Stat, Vanished, Whole, Writer
from wherry.storage.entries import taken
from wherry.storage.localfile import BLOCK, write_whole
from wherry.storage.names import (
    check_assessment_id,
    check_picture_name,
    check_suffix,
    check_upload_id,
)


class _Unfinished:
    """The bytes of one unfinished upload. A byte that was never written is zero."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.data = bytearray()
        self.touched = time.time()
        self.locked: list[Range] = []
        self.is_linked = False  # then the finished file has the space

    def write(self, at: int, data: memoryview) -> None:
        self.data.extend(bytes(max(at - len(self.data), 0)))
        self.data[at : at + len(data)] = data
        self.touched = time.time()

    def whole(self) -> bytes:
        return bytes(self.data).ljust(self.length, b"\0")


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """A file in `files`, the finished ones or the pictures, under `name`."""

    files: Mapping[str, tuple[bytes, float]] = field(repr=False)
    name: str

    @property
    def local_path(self) -> None:
        return None

    def stat(self) -> Stat | None:
        """Size and age; None if it is not there."""
        if (found := self.files.get(self.name)) is None:
            return None
        data, modified_at = found
        return Stat(len(data), modified_at)

    def open(self) -> BinaryIO:
        """The file for reading. Raises `FileNotFoundError`."""
        if (found := self.files.get(self.name)) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.name)
        return BytesIO(found[0])

    def read(self, within: Range) -> Iterator[bytes]:
        """These bytes, in blocks."""
        with self.open() as file:
            file.seek(within.start)
            while block := file.read(min(BLOCK, within.end - file.tell())):
                yield block

    def download(self, to: Path) -> None:
        """Copy it to `to`, which appears when the copy is whole."""
        with self.open() as source:
            write_whole(to, source)

    def url(self, lifetime: int, filename: str, content_type: str) -> None:
        """None: memory has no address."""


class MemoryPictures:
    """Pictures by the name `<assessment_id>/<name>`."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, float]] = {}

    def put(self, assessment_id: str, name: str, data: bytes) -> None:
        """Keep a picture, in place of one with the same name."""
        self._files[_key(assessment_id, name)] = bytes(data), time.time()

    def get(self, assessment_id: str, name: str) -> MemoryFile:
        """The picture with this name."""
        return MemoryFile(self._files, _key(assessment_id, name))

    def delete(self, assessment_id: str) -> None:
        """Remove every picture of this assessment."""
        prefix = f"{check_assessment_id(assessment_id)}/"
        for key in [key for key in self._files if key.startswith(prefix)]:
            self._files.pop(key, None)


def _key(assessment_id: str, name: str) -> str:
    return f"{check_assessment_id(assessment_id)}/{check_picture_name(name)}"


class MemoryStorage:
    """A volume of `capacity` bytes."""

    parts = None
    capabilities = Capabilities(reserves=True, locks_ranges=True, durable=False)

    def __init__(self, capacity: int = GiB) -> None:
        self._capacity = capacity
        self._finished: dict[str, tuple[bytes, float]] = {}
        self._pictures = MemoryPictures()
        self._unfinished: dict[str, _Unfinished] = {}
        self._arrivals: dict[str, _Arrival] = {}
        self._lock = Lock()

    @property
    def pictures(self) -> MemoryPictures:
        return self._pictures

    def check(self) -> list[str]:
        """The warning that a restart loses all uploads."""
        return ["Uploads are kept in memory: a restart loses them."]

    def present(self) -> None:
        """Never raises, because memory is always there."""

    def space(self) -> Space:
        """`capacity`, and what is left of it after reservations and finished files."""
        with self._lock:
            return self._space()

    def _space(self) -> Space:
        finished = sum(len(data) for data, _ in self._finished.values())
        reserved = sum(one.length for one in self._unfinished.values() if not one.is_linked)
        return Space(self._capacity, self._capacity - finished - reserved)

    def reserve(self, upload_id: str, length: int, suffix: str = "") -> None:
        """Reserve `length` bytes. A second call keeps existing bytes. Raises `DiskFull`."""
        check_upload_id(upload_id)
        with self._lock:
            upload = self._unfinished.get(upload_id)
            if length - (upload.length if upload else 0) > self._space().free:
                raise DiskFull
            if upload is None:
                self._unfinished[upload_id] = _Unfinished(length)
            else:
                upload.length = max(upload.length, length)

    def open(self, upload_id: str, within: Range) -> Writer:
        """Open a range for writing. Raises `Vanished`, `RangeLocked`."""
        with self._lock:
            upload = self._find(upload_id)
            if any(within.overlaps(locked) for locked in upload.locked):
                raise RangeLocked(upload_id)
            upload.locked.append(within)
            return _Writer(self, upload_id, upload, within)

    def copy(self, source: Whole, within: Range, upload_id: str, at: int) -> None:
        """Copy bytes of one unfinished upload into another. Raises `Vanished`, `OSError`."""
        with self._lock:
            data = self._whole(source.upload_id, source.length)[within.start : within.end]
            target = self._find(upload_id)
            target.length = max(target.length, at + len(data))
            target.write(at, memoryview(data))

    def head(self, upload_id: str, size: int) -> bytes:
        """The first bytes, at most `size`. Raises `Vanished`."""
        with self._lock:
            return self._find(upload_id).whole()[:size]

    def vanished(self, upload_ids: Iterable[str]) -> frozenset[str]:
        """Those of these uploads that have no bytes."""
        with self._lock:
            return frozenset(upload_ids) - self._unfinished.keys()

    def unfinished_file(self, upload_id: str, length: int, crc: int | None = None) -> MemoryFile:
        """The file before `finish`. Raises `Vanished`, and `OSError` if bytes are missing."""
        with self._lock:
            data = self._whole(upload_id, length)
        return MemoryFile({upload_id: (data, time.time())}, upload_id)

    def put(self, upload_id: str, suffix: str, data: Sequence[memoryview]) -> _Arrival:
        """Make the finished file at once. Raises `CannotPut`, `DiskFull`."""
        file = self.finished_file(upload_id, suffix)
        with self._lock:
            taken = {*self._unfinished, *self._arrivals}
            if upload_id in taken or file.name in self._finished:
                raise CannotPut(upload_id)
            if sum(map(len, data)) > self._space().free:
                raise DiskFull
            self._finished[file.name] = b"".join(data), time.time()
            arrival = self._arrivals[upload_id] = _Arrival(self, upload_id, file.name)
        return arrival

    def reclaim(self, upload_id: str) -> _Arrival | None:
        """What `put` left without keeping or dropping it. Raises `RangeLocked`."""
        check_upload_id(upload_id)
        with self._lock:
            if (arrival := self._arrivals.get(upload_id)) is None:
                return None
            if arrival.is_held:
                raise RangeLocked(upload_id)
            arrival.is_held = True
            return arrival

    def _end(self, arrival: _Arrival, is_kept: bool) -> None:
        with self._lock:
            if self._arrivals.get(arrival.upload_id) is arrival:
                del self._arrivals[arrival.upload_id]
                if not is_kept:
                    self._finished.pop(arrival.name, None)

    def link(self, upload_id: str, suffix: str, length: int, crc: int | None = None) -> bool:
        """Make the finished file and keep the unfinished bytes. Raises `Vanished`, `OSError`."""
        file = self.finished_file(upload_id, suffix)
        with self._lock:
            unfinished = self._unfinished.get(upload_id)
            if file.name not in self._finished:
                self._finished[file.name] = self._whole(upload_id, length), time.time()
                self._unfinished[upload_id].is_linked = True
            elif unfinished is not None and not unfinished.is_linked:
                raise taken(file.name)
        return True

    def finish(
        self, upload_id: str, suffix: str, length: int, crc: int | None = None
    ) -> MemoryFile:
        """Make the finished file. A second call returns it. Raises `Vanished`, `OSError`."""
        file = self.finished_file(upload_id, suffix)
        with self._lock:
            if file.name not in self._finished:
                self._finished[file.name] = self._whole(upload_id, length), time.time()
            elif upload_id in self._unfinished and len(self._finished[file.name][0]) != length:
                raise taken(file.name)
            self._unfinished.pop(upload_id, None)
        return file

    def _whole(self, upload_id: str, length: int) -> bytes:
        upload = self._find(upload_id)
        if upload.length < length:
            raise OSError(errno.EIO, f"{upload.length} bytes are left of {length}")
        return upload.whole()[:length]

    def finished_file(self, upload_id: str, suffix: str) -> MemoryFile:
        """The file that `link` or `finish` makes."""
        return MemoryFile(self._finished, f"{check_upload_id(upload_id)}{check_suffix(suffix)}")

    def delete(self, upload_id: str) -> None:
        """Remove the unfinished bytes; without effect if there are none."""
        check_upload_id(upload_id)
        with self._lock:
            self._unfinished.pop(upload_id, None)

    def discard(self, upload_id: str, suffix: str) -> None:
        """Remove the finished file; without effect if there is none."""
        with self._lock:
            self._finished.pop(self.finished_file(upload_id, suffix).name, None)
            if (unfinished := self._unfinished.get(upload_id)) is not None:
                unfinished.is_linked = False

    def unfinished(self) -> Iterator[tuple[str, float]]:
        """Every upload with unfinished bytes, and when they last changed (Unix seconds)."""
        with self._lock:
            found = {id_: each.touched for id_, each in self._unfinished.items()}
            found |= {id_: each.touched for id_, each in self._arrivals.items()}
            return iter(found.items())

    def _find(self, upload_id: str) -> _Unfinished:
        try:
            return self._unfinished[check_upload_id(upload_id)]
        except KeyError:
            raise Vanished(upload_id) from None

    def _write(self, upload: _Unfinished, at: int, data: memoryview) -> None:
        with self._lock:
            upload.write(at, data)

    def _has(self, upload_id: str, upload: _Unfinished) -> bool:
        with self._lock:
            return self._unfinished.get(upload_id) is upload

    def _release(self, upload: _Unfinished, within: Range) -> None:
        with self._lock:
            upload.locked.remove(within)


class _Writer:
    """An open range of an unfinished upload."""

    def __init__(
        self, storage: MemoryStorage, upload_id: str, upload: _Unfinished, within: Range
    ) -> None:
        self._storage = storage
        self._upload_id = upload_id
        self._upload = upload
        self._within = within

    def write(self, at: int, data: memoryview) -> None:
        """Put all of `data` at byte `at`. Raises `ValueError` outside the range."""
        if at < self._within.start or at + len(data) > self._within.end:
            raise ValueError(f"{len(data)} bytes at {at} are outside of {self._within}")
        self._storage._write(self._upload, at, data)

    def sync(self) -> None:
        """Does nothing. Raises `OSError` if the upload was removed meanwhile."""
        if not self._storage._has(self._upload_id, self._upload):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._upload_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._storage._release(self._upload, self._within)


class _Arrival:
    """A finished file of which no record is known to be safe."""

    def __init__(self, storage: MemoryStorage, upload_id: str, name: str) -> None:
        self.upload_id = upload_id
        self.name = name
        self.touched = time.time()
        self.is_held = True
        self._storage = storage

    def keep(self) -> None:
        """The record is safe, so the file is finished."""
        self._storage._end(self, is_kept=True)

    def drop(self, recorded: str | None = None) -> None:
        """Remove the file, unless its suffix is the recorded one."""
        is_kept = recorded is not None and self.name == f"{self.upload_id}{recorded}"
        self._storage._end(self, is_kept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.is_held = False
