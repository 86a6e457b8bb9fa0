"""Bytes on a local disk.

    root/temp_chunks/<upload_id>/data    unfinished: one file, written at offsets
    root/files/<upload_id><suffix>       finished

Rule 1: finishing is a rename. No byte is copied or read again.

Rule 2: a name is safe only when its folder is synced, so every change of names
ends with that. Syncs are left out when the operator chose so (`durable`).

Rule 3: the folder of an upload that receives bytes is never older than
`TOUCH_EVERY`, nor is `temp_chunks`, so operators can remove old ones by their age.

Rule 4: no symbolic link is followed below `temp_chunks`.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from wherry.core.admission import Space
from wherry.core.errors import DiskFull
from wherry.core.ranges import Range
from wherry.storage import Capabilities, RangeLocked, Vanished, Writer, disk
from wherry.storage.names import check_suffix, check_upload_id
from wherry.storage.volumes import check_volume, mount_of, parse_mountinfo

#: A folder is touched at least this often while bytes arrive, in seconds.
TOUCH_EVERY = 60.0

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_DATA = "data"
_PROBE_BYTES = 1 << 16
_MOUNTS = Path("/proc/self/mountinfo")


class LocalStorage:
    """Storage in the folder `root`; with `durable` False, nothing is synced."""

    def __init__(self, root: Path, durable: bool = True) -> None:
        self._root = root.absolute()
        self._temp_chunks = self._root / "temp_chunks"
        self._files = self._root / "files"
        self._durable = durable
        self._capabilities = Capabilities(
            reserves=sys.platform == "linux", locks_ranges=disk.LOCKS, durable=durable
        )

    @property
    def capabilities(self) -> Capabilities:
        """What the platform can do; after `check`, what this volume can."""
        return self._capabilities

    # The volume.

    def check(self) -> list[str]:
        """Make the folders and try the volume out.

        Raises `OSError` where Wherry cannot work: a network file system, two
        volumes, a folder that may not be written.
        """
        warnings = self._check_mount()
        for folder in (self._temp_chunks, self._files):
            self._make_folder(folder)
        if self._temp_chunks.stat().st_dev != self._files.stat().st_dev:
            raise OSError(
                errno.EXDEV,
                f"{self._temp_chunks} and {self._files} are on two volumes, and a finished file "
                "cannot be renamed from one to the other. Put both on one volume",
            )
        return warnings + self._probe()

    def _probe(self) -> list[str]:
        """Find out what the volume can do, by doing it."""
        try:
            with tempfile.TemporaryFile(dir=self._temp_chunks) as probe:
                self._capabilities = replace(
                    self._capabilities,
                    reserves=_really_reserves(probe.fileno()),
                    locks_ranges=_really_locks(probe.fileno()),
                )
        except OSError as error:
            if error.errno not in disk.FULL:
                raise
            # What is there can still be finished, read and deleted.
            return [f"The volume of {self._root} is full: nothing can be uploaded until it is not."]
        if self._capabilities.reserves:
            return []
        return [
            f"The volume of {self._root} cannot reserve space: a full disk is noticed only when "
            "bytes come. Use ext4, XFS or another file system with fallocate."
        ]

    def _check_mount(self) -> list[str]:
        try:
            text = _MOUNTS.read_text(errors="surrogateescape")
        except OSError:
            return []  # macOS, or a system that hides its mounts.
        path = self._root.resolve()
        mount = mount_of(path, parse_mountinfo(text))
        return check_volume(path, mount) if mount else []

    def space(self) -> Space:
        """Bytes of the volume that Wherry's user can ever have, and those free now."""
        volume = os.statvfs(self._root)
        taken = volume.f_blocks - volume.f_bfree
        free = volume.f_bavail * volume.f_frsize
        if not self._capabilities.reserves:
            free -= sum(self._promised(upload_id) for upload_id, _ in self.unfinished())
        return Space((taken + volume.f_bavail) * volume.f_frsize, max(free, 0))

    def _promised(self, upload_id: str) -> int:
        """Bytes of a place that the volume still counts as free."""
        try:
            place = self.unfinished_path(upload_id).lstat()
        except FileNotFoundError:
            return 0
        return max(place.st_size - place.st_blocks * 512, 0)

    def exclude(self) -> AbstractContextManager[object] | None:
        """The right to promise space, of one process at a time; None while another has it."""
        return disk.FileLock.take(self._root / "line.lock")

    def claim(self, upload_id: str) -> AbstractContextManager[object] | None:
        """The right to end this upload, of one caller at a time; None while another has it.

        One byte of one file stands for each upload: a file for each would come and go.
        """
        if not self._capabilities.locks_ranges:
            return nullcontext()
        at = int.from_bytes(sha256(check_upload_id(upload_id).encode()).digest()[:7])
        return disk.FileLock.take(self._root / "completing.lock", Range(at, at + 1))

    # Unfinished bytes.

    def reserve(self, upload_id: str, length: int) -> None:
        """Make a place of `length` bytes; called again, keep what is in it.

        Raises `DiskFull` and other `OSError`s, and leaves nothing behind.
        """
        folder = self._folder(upload_id)
        is_new = self._reserved(folder / _DATA) < length
        try:
            self._make_folder(folder)
            # A crash here leaves a folder without a place; called again goes on,
            # and `unfinished` shows it to whoever sweeps.
            with _opened(folder, _FOLDER) as at, _opened(_DATA, os.O_RDWR | os.O_CREAT, at) as data:
                if not (self._capabilities.reserves and disk.allocate(data, length)) and is_new:
                    os.ftruncate(data, length)
                # A crash here leaves the place unsynced; called again syncs it.
                self._sync(data)
                self._sync(at)
        except OSError as error:
            if is_new:
                self.delete(upload_id)
            if error.errno in disk.FULL:
                raise DiskFull from error
            raise

    @staticmethod
    def _reserved(place: Path) -> int:
        """How long the place is, in bytes; -1 where there is none."""
        try:
            return place.lstat().st_size
        except FileNotFoundError:
            return -1

    def open(self, upload_id: str, within: Range) -> Writer:
        """Open a range for writing. Raises `Vanished`, `RangeLocked`, `OSError`."""
        folder, data = self._open_place(upload_id)
        try:
            if self._capabilities.locks_ranges and not disk.lock(data, within):
                raise RangeLocked(upload_id)
        except BaseException:
            os.close(data)
            os.close(folder)
            raise
        return _Writer(folder, data, within, self._durable)

    def head(self, upload_id: str, size: int) -> bytes:
        """The first bytes, at most `size`. Raises `Vanished`, `OSError`."""
        folder, data = self._open_place(upload_id)
        try:
            return os.pread(data, size, 0)
        finally:
            os.close(data)
            os.close(folder)

    def unfinished_path(self, upload_id: str) -> Path:
        """Where the bytes lie until `finish`."""
        return self._folder(upload_id) / _DATA

    def unfinished(self) -> Iterator[tuple[str, float]]:
        """Every upload that has a folder, and when bytes last came (Unix seconds).

        Whatever else somebody put into `temp_chunks` is left alone.
        """
        with suppress(FileNotFoundError), os.scandir(self._temp_chunks) as entries:
            for entry in entries:
                with suppress(ValueError, FileNotFoundError):
                    upload_id = check_upload_id(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        yield upload_id, entry.stat(follow_symlinks=False).st_mtime

    def delete(self, upload_id: str) -> None:
        """Remove the unfinished bytes; without effect if there are none."""
        folder = self._folder(upload_id)
        with suppress(FileNotFoundError), _opened(folder, _FOLDER) as at:
            for name in os.listdir(at):  # noqa: PTH208 - a descriptor has no Path
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=at)
            # A crash here leaves an empty folder, which opens as `Vanished`;
            # called again removes it.
            folder.rmdir()
        # Also when it was gone already: who removed it may have died before this line.
        with suppress(FileNotFoundError):
            self._sync_folder(self._temp_chunks)

    # Finished files.

    def finish(self, upload_id: str, suffix: str, length: int) -> Path:
        """Cut the place to `length` bytes and move it to `finished_path`.

        Called again, finds it finished. Raises `Vanished`; `OSError`, also when
        the place is shorter than `length`.
        """
        target = self.finished_path(upload_id, suffix)
        # What has its name already is never replaced, whatever lies in its old place.
        if not _is_file(target):
            folder, data = self._open_place(upload_id)
            try:
                self._cut(data, length, upload_id)
                # A crash here leaves the whole file in its old place; called again moves it.
                os.rename(_DATA, target, src_dir_fd=folder)
            finally:
                os.close(data)
                os.close(folder)
        # A crash here leaves the file in its new place and an empty folder, neither
        # of them synced; called again finds `target` and goes on here.
        self._sync_folder(self._files)
        # A crash here leaves the empty folder; called again, or a sweep, removes it.
        self.delete(upload_id)
        return target

    def _cut(self, data: int, length: int, upload_id: str) -> None:
        size = os.fstat(data).st_size
        if size < length:
            raise OSError(
                errno.EIO,
                f"{size} bytes are left of {length} that were received",
                str(self.unfinished_path(upload_id)),
            )
        if size > length:
            os.ftruncate(data, length)
        self._sync(data)

    def finished_path(self, upload_id: str, suffix: str) -> Path:
        """Where `finish` puts the file."""
        return self._files / f"{check_upload_id(upload_id)}{check_suffix(suffix)}"

    def is_finished(self, upload_id: str, suffix: str) -> bool:
        """Whether the finished file is there. Raises `OSError` where that cannot be known."""
        if _is_file(self.finished_path(upload_id, suffix)):
            return True
        self._files.stat()
        return False

    def discard(self, upload_id: str, suffix: str) -> None:
        """Remove the finished file; without effect if there is none."""
        self.finished_path(upload_id, suffix).unlink(missing_ok=True)
        # A crash here leaves the removal unsynced; called again syncs it.
        self._sync_folder(self._files)

    # Folders and syncs.

    def _folder(self, upload_id: str) -> Path:
        return self._temp_chunks / check_upload_id(upload_id)

    def _make_folder(self, folder: Path) -> None:
        """Make it and what lies above it, for this user alone, and sync its name.

        Above, because an operator who removes old folders with `find` may have
        removed `temp_chunks` too, after a day without uploads.
        """
        if not folder.parent.is_dir():
            self._make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        # Also when it was there: who made it may have died before this line.
        self._sync_folder(folder.parent)

    def _open_place(self, upload_id: str) -> tuple[int, int]:
        """Descriptors of the folder and of the data in it. Raises `Vanished`, `OSError`."""
        try:
            folder = os.open(self._folder(upload_id), _FOLDER)
            try:
                return folder, os.open(_DATA, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder)
            except BaseException:
                os.close(folder)
                raise
        except FileNotFoundError:
            raise Vanished(upload_id) from None

    def _sync(self, fd: int) -> None:
        if self._durable:
            disk.sync_file(fd)

    def _sync_folder(self, folder: Path) -> None:
        if self._durable:
            disk.sync_folder(folder)


class _Writer:
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


@contextmanager
def _opened(path: Path | str, flags: int, folder: int | None = None) -> Iterator[int]:
    fd = os.open(path, flags | os.O_NOFOLLOW, mode=0o600, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _really_reserves(fd: int) -> bool:
    # ZFS says yes to fallocate and reserves nothing, so the blocks are counted.
    return disk.allocate(fd, _PROBE_BYTES) and os.fstat(fd).st_blocks * 512 >= _PROBE_BYTES


def _really_locks(fd: int) -> bool:
    try:
        return disk.LOCKS and disk.lock(fd, Range(0, 1))
    except OSError as error:
        if error.errno in disk.CANNOT:
            return False
        raise
