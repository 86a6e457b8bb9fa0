"""An open range of one upload on a local disk.

Rule 1: a sync that failed is final: this descriptor is never written or synced again, and
nothing that was written through it counts (disk.py, rule 2).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range
from wherry.storage import disk
from wherry.storage.copying import copy_range

#: How many bytes one call writes. For a larger write the page cache takes larger blocks of memory,
#: which it rarely has warm: calls of 1 MiB were two to seven times slower than these.
WRITE_AT_ONCE = 256 * KiB
#: A folder is touched at least this often while bytes arrive, in seconds.
TOUCH_EVERY = 60.0
#: The disk begins to write when so many bytes have come, so that the sync has less to wait for.
WRITE_BACK_EVERY = 1 * MiB
#: Of how many uploads it is remembered that their names are safe.
REMEMBERED = 10_000


class SyncedNames:
    """The uploads whose names this process has synced, or found synced.

    A byte is safe only when its file is found by its name after a power loss: the names of the
    file and of its folder must be safe before the byte is acknowledged. Making them safe when the
    space is reserved would cost each upload two more syncs. So the first `sync` of a process does
    it, whichever process made the names.
    """

    def __init__(self) -> None:
        self._synced: dict[str, None] = {}

    def sync(self, upload_id: str, folders: Iterable[int]) -> None:
        """Make the names in these open folders safe, once. Raises `OSError`."""
        if upload_id in self._synced:
            return
        for folder in folders:
            disk.sync_file(folder)
        if len(self._synced) >= REMEMBERED:
            self._synced.clear()
        self._synced[upload_id] = None

    def forget(self, upload_id: str) -> None:
        """Its names are removed: if they are made again, they are not safe."""
        self._synced.pop(upload_id, None)


class LocalWriter:
    """An open range; owns the descriptors of the folder and of the data."""

    def __init__(
        self, folder: int, data: int, within: Range, sync_names: Callable[[], object] | None
    ) -> None:
        """`sync_names` makes the names of the upload safe. None: nothing is synced."""
        self._folder = folder
        self._data = data
        self._within = within
        self._sync_names = sync_names
        self._touched = float("-inf")
        self._has_failed = False
        self._begun = within.start  #: Up to here, the disk has begun to write.

    def write(self, at: int, data: memoryview) -> None:
        """Put all of `data` at byte `at`. Raises `OSError`, `ValueError` outside the range."""
        if at < self._within.start or at + len(data) > self._within.end:
            raise ValueError(f"{len(data)} bytes at {at} are outside of {self._within}")
        self._check_sound()
        if time.monotonic() - self._touched > TOUCH_EVERY:
            self._touch()
        while data:
            written = os.pwrite(self._data, data[:WRITE_AT_ONCE], at)
            at, data = at + written, data[written:]
        # Bytes come in order, with gaps between them where others were there before.
        if self._sync_names is not None and at - self._begun >= WRITE_BACK_EVERY:
            disk.start_writing_back(self._data, Range(self._begun, at))
            self._begun = at

    def copy(self, source: int, within: Range, at: int) -> None:
        """Put these bytes of the open file `source` at byte `at`. Raises `OSError`."""
        self._check_sound()
        copy_range(source, within, self._data, at)

    def sync(self) -> None:
        """Make what was written safe. Raises `OSError`, and from then on always."""
        self._check_sound()
        self._touch()
        try:
            if self._sync_names is not None:
                disk.sync_data(self._data)
                self._sync_names()
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
