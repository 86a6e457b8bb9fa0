"""A whole file that comes at once: it has its final name before it has a record.

    temp_chunks/<upload_id>       the file, while no record is known to be safe
    files/<upload_id><suffix>     the same file (a hard link): its final name

Rule 1: the name in `temp_chunks` is made first and removed last. So a file of which a crash left
no record is found without reading all of `files`.

Rule 2: the process that brings the file has it locked until the record is safe. So nobody else
takes it for the rest of a crash, however long that process is stopped.

Rule 3: both names are made before the file is synced. On ext4 and XFS, one commit of the journal
then has the names and the bytes; four threads at once share it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from wherry.core.errors import DiskFull
from wherry.core.ranges import Range
from wherry.storage import CannotPut, RangeLocked, disk
from wherry.storage.entries import linked

#: The byte that stands for the file in its lock.
_LOCKED = Range(0, 1)
#: How many buffers `writev` takes at most.
_IOV_MAX = 1024


class LocalArrival:
    """The file `name` in the folder `chunks`, with its final names in `files`; both are open."""

    def __init__(self, name: str, chunks: int, files: int, durable: bool) -> None:
        self._name = name
        self._chunks = chunks
        self._files = files
        self._durable = durable
        self._fd = -1
        self._finals: list[str] = []

    def put(self, suffix: str, data: Sequence[memoryview]) -> Self:
        """Write the file, under both names. Raises `CannotPut`, `DiskFull`, `OSError`.

        Then nothing is left.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            self._fd = os.open(self._name, flags, 0o600, dir_fd=self._chunks)
            # A crash from here on leaves the first name, and perhaps both: `take` finds them.
            self._lock_new()
            _write(self._fd, data)
            self._link(f"{self._name}{suffix}")
            if self._durable:
                disk.sync_data(self._fd)
                disk.sync_file(self._files)
        except BaseException as error:
            with self, suppress(OSError):
                self.drop()
            if isinstance(error, FileExistsError):
                raise CannotPut(self._name) from error
            if isinstance(error, OSError) and error.errno in disk.FULL:
                raise DiskFull from error
            raise
        return self

    def take(self) -> Self | None:
        """What a process that died has left; None for nothing. Raises `RangeLocked`, `OSError`."""
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._fd = os.open(self._name, flags, dir_fd=self._chunks)
        except (FileNotFoundError, IsADirectoryError):
            return None
        try:
            if not disk.lock(self._fd, _LOCKED):
                raise RangeLocked(self._name)
            if self._is_in_place():
                self._find_finals()
                return self
        except BaseException:
            self.close()
            raise
        self.close()  # its process has just removed it
        return None

    def keep(self) -> None:
        """The record is safe, so the file is finished."""
        # Not synced: a name that comes back after power loss is found like one left by a crash.
        with suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._chunks)

    def drop(self, recorded: str | None = None) -> None:
        """Remove the file, except under its final name with the suffix that is recorded."""
        if self._fd < 0:  # it is not ours
            return
        for final in self._finals:
            if recorded is None or final != f"{self._name}{recorded}":
                with suppress(FileNotFoundError):
                    os.unlink(final, dir_fd=self._files)
        # A crash here leaves the first name: `take` finds it.
        self.keep()

    def close(self) -> None:
        """Let go of the file, as the end of the process does."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _lock_new(self) -> None:
        """Raises `CannotPut` if the new file was taken for a leftover before it was locked."""
        if not disk.lock(self._fd, _LOCKED) or not os.fstat(self._fd).st_nlink:
            self.close()  # it is for the other one to remove
            raise CannotPut(self._name)

    def _is_in_place(self) -> bool:
        try:
            there = os.stat(self._name, dir_fd=self._chunks, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return stat.S_ISREG(there.st_mode) and os.path.samestat(there, os.fstat(self._fd))

    def _link(self, final: str) -> None:
        if not linked(self._name, self._chunks, final, self._files):
            raise CannotPut(final)
        self._finals.append(final)

    def _find_finals(self) -> None:
        """Its names in `files`: all of them are read, but only when there is one to be found."""
        mine = os.fstat(self._fd)
        if mine.st_nlink < 2:
            return
        # Opened anew: threads that list by one descriptor take each other's names.
        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._files)
        try:
            with os.scandir(folder) as entries:
                self._finals = [
                    entry.name
                    for entry in entries
                    if entry.name.startswith(self._name) and entry.inode() == mine.st_ino
                ]
        finally:
            os.close(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _write(fd: int, data: Sequence[memoryview]) -> None:
    left = [piece for piece in data if len(piece)]
    while left:
        written = os.writev(fd, left[:_IOV_MAX])
        # A disk that is nearly full takes less than all; the next call then tells why.
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]
