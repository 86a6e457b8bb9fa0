"""Disk space kept beside the database, so that freeing space works on a full disk.

A commit needs room in the log. On a volume that somebody else has filled, cancelling and
expiring would fail for want of the space that they free.

Rule 1: the ballast is given up for one commit that frees space, and what that commit did
not need is taken back at once, before somebody else takes it.

Rule 2: it is made of random bytes, which no file system stores as a hole or compresses.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from pathlib import Path

from wherry.core.limits import KiB, MiB

#: Bytes kept: several hundred pages, of which one change takes a dozen.
BALLAST = 2 * MiB
_PIECE = 4 * KiB


class Ballast:
    """A file of `BALLAST` bytes at `path`, as far as there is room for it."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError` where the file cannot be opened."""
        self._path = path
        self._fd = self._open()

    def _open(self) -> int:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._close = weakref.finalize(self, os.close, fd)
        return fd

    def fill(self) -> None:
        """Make it whole, as far as there is room."""
        with suppress(OSError):
            if os.fstat(self._fd).st_nlink == 0:  # somebody deleted it to make room
                close_old = self._close
                self._fd = self._open()
                close_old()
            while (size := os.fstat(self._fd).st_size) < BALLAST:
                os.pwrite(self._fd, os.urandom(min(_PIECE, BALLAST - size)), size)

    def has_room(self) -> bool:
        """Whether it is whole, and there is as much room again beside it."""
        volume = os.fstatvfs(self._fd)
        free = (volume.f_bfree if os.geteuid() == 0 else volume.f_bavail) * volume.f_frsize
        return os.fstat(self._fd).st_size >= BALLAST and free >= BALLAST

    def give_up(self) -> bool:
        """Free its space. False where there is nothing to free, or the disk refuses."""
        try:
            if os.fstat(self._fd).st_size == 0:
                return False
            os.ftruncate(self._fd, 0)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of the file, which stays."""
        with suppress(OSError):
            self._close()
