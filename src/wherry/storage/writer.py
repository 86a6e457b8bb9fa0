"""An open range of one upload on a local disk.

Rule 1: a sync that failed is final: this descriptor is never written or synced again, and
nothing that was written through it counts (disk.py, rule 2).
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from wherry.core.ranges import Range
from wherry.storage import disk

#: A folder is touched at least this often while bytes arrive, in seconds.
TOUCH_EVERY = 60.0


class LocalWriter:
    """An open range; owns the descriptors of the folder and of the data."""

    def __init__(self, folder: int, data: int, within: Range, durable: bool) -> None:
        self._folder = folder
        self._data = data
        self._within = within
        self._durable = durable
        self._touched = float("-inf")
        self._has_failed = False

    def write(self, at: int, data: memoryview) -> None:
        """Put all of `data` at byte `at`. Raises `OSError`, `ValueError` outside the range."""
        if at < self._within.start or at + len(data) > self._within.end:
            raise ValueError(f"{len(data)} bytes at {at} are outside of {self._within}")
        self._check_sound()
        if time.monotonic() - self._touched > TOUCH_EVERY:
            self._touch()
        while data:
            written = os.pwrite(self._data, data, at)
            at, data = at + written, data[written:]

    def sync(self) -> None:
        """Make what was written safe. Raises `OSError`, and from then on always."""
        self._check_sound()
        self._touch()
        try:
            if self._durable:
                disk.sync_data(self._data)
            if os.fstat(self._data).st_nlink == 0:
                raise FileNotFoundError(errno.ENOENT, "the upload was removed while it was written")
        except OSError:
            self._has_failed = True
            raise

    def _touch(self) -> None:
        os.utime(self._folder)
        # And the one above: removed for its age, it would take this one along.
        with suppress(FileNotFoundError):  # which has been removed itself
            os.utime("..", dir_fd=self._folder)
        self._touched = time.monotonic()

    def _check_sound(self) -> None:
        if self._has_failed:
            raise OSError(errno.EIO, "an earlier sync failed; what was written is lost")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._data)
        os.close(self._folder)
