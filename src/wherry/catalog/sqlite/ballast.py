"""Disk space kept beside the database, so that freeing space works on a full disk.

A commit needs room in the log. On a volume that other programs have filled, cancelling and
expiring would fail because they lack the very space that they free.

Rule 1: the ballast is given up for one commit that frees space. What that commit did not
need is taken back at once, before another program takes it.

Rule 2: the ballast consists of random bytes, which no file system compresses or stores as a
hole.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from pathlib import Path

from wherry.core.limits import KiB, MiB

#: The size of the ballast in bytes: several hundred pages. One change takes about a dozen.
BALLAST = 2 * MiB
_PIECE = 4 * KiB


class Ballast:
    """A file at `path` of up to `BALLAST` bytes, as far as there is room."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError` if the file cannot be opened."""
        self._path = path
        self._fd = self._open()

    def _open(self) -> int:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._close = weakref.finalize(self, os.close, fd)
        return fd

    def fill(self) -> None:
        """Write it up to its full size, as far as there is room."""
        with suppress(OSError):
            if os.fstat(self._fd).st_nlink == 0:  # an operator deleted it to make room
                close_old = self._close
                self._fd = self._open()
                close_old()
            while (size := os.fstat(self._fd).st_size) < BALLAST:
                os.pwrite(self._fd, os.urandom(min(_PIECE, BALLAST - size)), size)

    def has_room(self) -> bool:
        """Whether it has its full size, and the volume has as much room again."""
        volume = os.fstatvfs(self._fd)
        free = (volume.f_bfree if os.geteuid() == 0 else volume.f_bavail) * volume.f_frsize
        return os.fstat(self._fd).st_size >= BALLAST and free >= BALLAST

    def give_up(self) -> bool:
        """Free its space. False if it has none, or if the disk refuses."""
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
