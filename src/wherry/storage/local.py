"""Bytes on a local disk.

    root/temp_chunks/<upload_id>/data    unfinished: one file, written at offsets
    root/files/<upload_id><suffix>       finished
    root/temp_chunks/<upload_id>         finished, and not known to be recorded (arrival.py)
    root/assessments/<id>/<name>         pictures (localpictures.py)

Rule 1: finishing is a hard link or a rename. No byte is copied or read again.

Rule 2: a name is safe only when its folder is synced. Finished names are synced as they are made
and removed; unfinished ones by the first `sync` of bytes under them, because before that there
is nothing to lose. The removal of unfinished ones is not synced: names that power loss brings
back belong to an upload that has ended, and the sweep finds them. All syncs are left out when
the operator chose so (`durable`).

Rule 3: the folder of an upload that receives bytes is never older than
`TOUCH_EVERY` (writer.py), nor is `temp_chunks`, so operators can remove old ones by their age.

Rule 4: no symbolic link is followed below `temp_chunks`.

Rule 5: a file that is not found is missing only while the paths lead to the folders that were
opened (folders.py). Otherwise every method raises `OSError`.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import rmtree

from wherry.core.admission import Space
from wherry.core.errors import DiskFull, NeverFits
from wherry.core.ranges import Range
from wherry.storage import CannotPut, Capabilities, RangeLocked, Vanished, Whole, disk
from wherry.storage.arrival import LocalArrival
from wherry.storage.entries import is_folder, linked, opened, size_of, status, taken
from wherry.storage.folders import Folders
from wherry.storage.localfile import LocalFile
from wherry.storage.localinstallation import LocalInstallation
from wherry.storage.localpictures import LocalPictures
from wherry.storage.names import check_suffix, check_upload_id
from wherry.storage.volumes import check_mount_of
from wherry.storage.writer import LocalWriter, SyncedNames

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_CHUNKS, _FILES, _DATA = "temp_chunks", "files", "data"
#: Errors of a quick removal that `rmtree` may be able to do: there is more than `data` inside.
_NOT_ONLY_DATA = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.EPERM})


class LocalStorage:
    """Storage in the folder `root`; with `durable` False, nothing is synced."""

    parts = None

    def __init__(self, root: Path, durable: bool = True) -> None:
        self._root = root.absolute()
        self._durable = durable
        self._folders = Folders(self._root, (_CHUNKS, _FILES), durable)
        self._pictures = LocalPictures(self._folders, durable)
        self._capabilities = Capabilities(
            reserves=sys.platform == "linux", locks_ranges=disk.LOCKS, durable=durable
        )
        self._names = SyncedNames()
        #: Which catalog the files belong to.
        self.installation = LocalInstallation(self._root, durable)
        self._can_link = True  # until the volume says no

    @property
    def root(self) -> Path:
        return self._root

    @property
    def pictures(self) -> LocalPictures:
        return self._pictures

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
        warnings = check_mount_of(self._root)
        self._folders.make()
        chunks, files = (os.fstat(self._folders.at(name)) for name in (_CHUNKS, _FILES))
        if chunks.st_dev != files.st_dev:
            raise OSError(
                errno.EXDEV,
                f"{self._root / _CHUNKS} and {self._root / _FILES} are on two volumes, and a "
                "finished file cannot be renamed from one to the other. Put both on one volume",
            )
        return warnings + self._probe()

    def unfamiliar(self) -> list[str]:
        """Before `check`: the folders that are missing, or are not those that were recorded."""
        return self._folders.unfamiliar()

    def record_folders(self) -> None:
        """After `check`: record which folders are in use, for the next start."""
        self._folders.record()

    def present(self) -> None:
        """Raises `OSError` while a folder that was opened is away, or another in its place."""
        self._folders.verify()

    def _chunks(self) -> int:
        self._folders.verify()
        return self._folders.at(_CHUNKS)

    def _files(self) -> int:
        self._folders.verify()
        return self._folders.at(_FILES)

    def _probe(self) -> list[str]:
        """Find out what the volume can do, by doing it."""
        try:
            with tempfile.TemporaryFile(dir=self._root / _CHUNKS) as probe:
                self._capabilities = replace(
                    self._capabilities,
                    reserves=disk.really_reserves(probe.fileno()),
                    locks_ranges=disk.really_locks(probe.fileno()),
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

    def space(self) -> Space:
        """Bytes of the volume that Wherry's user can ever have, and those free now."""
        self._folders.verify()
        volume = os.fstatvfs(self._folders.at(""))
        taken = volume.f_blocks - volume.f_bfree
        free = volume.f_bavail * volume.f_frsize
        if not self._capabilities.reserves:
            free -= sum(self._promised(upload_id) for upload_id, _ in self.unfinished())
        return Space((taken + volume.f_bavail) * volume.f_frsize, max(free, 0))

    def _promised(self, upload_id: str) -> int:
        """Bytes of a reservation that the volume still counts as free."""
        try:
            data = status(f"{upload_id}/{_DATA}", self._folders.at(_CHUNKS))
        except (FileNotFoundError, NotADirectoryError):
            return 0
        return max(data.st_size - data.st_blocks * 512, 0)

    # Unfinished bytes.

    def reserve(self, upload_id: str, length: int, suffix: str = "") -> None:
        """Set aside `length` bytes; called again, keep the bytes that are there.

        Raises `DiskFull`, `NeverFits` and other `OSError`s, and leaves nothing behind. Nothing is
        synced: after a power loss, the folder may be missing although the upload is recorded. No
        byte of it was acknowledged then (`SyncedNames`), and the first request that writes
        finds that it has vanished.
        """
        chunks = self._chunks()
        check_upload_id(upload_id)
        is_new = self._reserved(upload_id, chunks) < length
        try:
            with suppress(FileExistsError):
                os.mkdir(upload_id, 0o700, dir_fd=chunks)
            # A crash here leaves an empty folder. Called again, this goes on; and
            # `unfinished` lists the folder for the sweep.
            with (
                opened(upload_id, _FOLDER, chunks) as at,
                opened(_DATA, os.O_RDWR | os.O_CREAT, at) as data,
            ):
                if not (self._capabilities.reserves and disk.allocate(data, length)) and is_new:
                    os.ftruncate(data, length)
        except OSError as error:
            if is_new:
                self.delete(upload_id)
            if error.errno in disk.FULL:
                raise DiskFull from error
            if error.errno == errno.EFBIG:
                raise NeverFits(disk.largest_below(length), length) from error
            raise

    @staticmethod
    def _reserved(upload_id: str, chunks: int) -> int:
        """How many bytes are set aside; -1 for none."""
        try:
            return status(f"{upload_id}/{_DATA}", chunks).st_size
        except FileNotFoundError:
            return -1

    def open(self, upload_id: str, within: Range) -> LocalWriter:
        """Open a range for writing. Raises `Vanished`, `RangeLocked`, `OSError`."""
        folder, data = self._open_data(upload_id)
        try:
            if self._capabilities.locks_ranges and not disk.lock(data, within):
                raise RangeLocked(upload_id)
        except BaseException:
            os.close(data)
            os.close(folder)
            raise
        sync_names = partial(self._names.sync, upload_id, (folder, self._folders.at(_CHUNKS)))
        return LocalWriter(folder, data, within, sync_names if self._durable else None)

    def copy(self, source: Whole, within: Range, upload_id: str, at: int) -> None:
        """Copy bytes of one unfinished file into another. Raises `Vanished`, `OSError`."""
        folder, data = self._open_data(source.upload_id, os.O_RDONLY)
        try:
            with self.open(upload_id, Range(at, at + len(within))) as writer:
                writer.copy(data, within, at)
                writer.sync()
        except FileNotFoundError:  # it was removed meanwhile
            raise Vanished(upload_id) from None
        finally:
            os.close(data)
            os.close(folder)

    def head(self, upload_id: str, size: int) -> bytes:
        """The first bytes, at most `size`. Raises `Vanished`, `OSError`."""
        folder, data = self._open_data(upload_id, os.O_RDONLY)
        try:
            return os.pread(data, size, 0)
        finally:
            os.close(data)
            os.close(folder)

    def vanished(self, upload_ids: Iterable[str]) -> frozenset[str]:
        """Those of these uploads that have no folder. Raises `OSError`."""
        chunks = self._chunks()
        return frozenset(u for u in upload_ids if not is_folder(check_upload_id(u), chunks))

    def unfinished_file(self, upload_id: str, length: int, crc: int | None = None) -> LocalFile:
        """The bytes before `finish`, cut to `length` bytes: a reservation may be longer.

        Raises `Vanished`; `OSError`, also when there are fewer bytes than `length`.
        """
        folder, data = self._open_data(upload_id)
        try:
            # Not synced: nothing depends on it, and `finish` cuts again.
            self._cut(data, length, upload_id)
        finally:
            os.close(data)
            os.close(folder)
        return LocalFile(self.unfinished_path(upload_id), lambda: self._open_folder_of(upload_id))

    def unfinished_path(self, upload_id: str) -> Path:
        """Where the bytes are until `finish`."""
        return self._root / _CHUNKS / check_upload_id(upload_id) / _DATA

    def _open_folder_of(self, upload_id: str) -> int:
        return os.open(check_upload_id(upload_id), _FOLDER, dir_fd=self._chunks())

    def unfinished(self) -> Iterator[tuple[str, float]]:
        """Every upload that has a folder or a file, and when bytes last came (Unix seconds).

        Everything else in `temp_chunks` is left alone.
        """
        # Opened anew: threads that list by one descriptor take each other's names.
        with opened(".", _FOLDER, self._chunks()) as chunks, os.scandir(chunks) as entries:
            for entry in entries:
                with suppress(ValueError, FileNotFoundError):
                    upload_id = check_upload_id(entry.name)
                    if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False):
                        yield upload_id, entry.stat(follow_symlinks=False).st_mtime

    def delete(self, upload_id: str) -> None:
        """Remove the unfinished bytes, with all else in their folder; if there are any.

        Raises `OSError` for what cannot be removed.
        """
        self._remove(check_upload_id(upload_id), self._chunks())

    def _remove(self, upload_id: str, chunks: int) -> None:
        """Remove its folder. What is no folder is left alone."""
        # A crash in here leaves an empty folder, which opens as `Vanished`.
        self._names.forget(upload_id)
        try:
            with opened(upload_id, _FOLDER, chunks) as folder, suppress(FileNotFoundError):
                os.unlink(_DATA, dir_fd=folder)
            os.rmdir(upload_id, dir_fd=chunks)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            if error.errno not in _NOT_ONLY_DATA:
                raise
            rmtree(upload_id, dir_fd=chunks)

    # Finished files.

    def put(self, upload_id: str, suffix: str, data: Sequence[memoryview]) -> LocalArrival:
        """Make the finished file at once. Raises `CannotPut`, `DiskFull`, `OSError`."""
        if not self._capabilities.locks_ranges:
            raise CannotPut(upload_id)
        return self._arrival(upload_id).put(check_suffix(suffix), data)

    def reclaim(self, upload_id: str) -> LocalArrival | None:
        """What `put` has left in a process that died. Raises `RangeLocked`, `OSError`."""
        return self._arrival(upload_id).take()

    def _arrival(self, upload_id: str) -> LocalArrival:
        name, chunks = check_upload_id(upload_id), self._chunks()
        return LocalArrival(name, chunks, self._folders.at(_FILES), self._durable)

    def link(self, upload_id: str, suffix: str, length: int, crc: int | None = None) -> bool:
        """Cut the unfinished file to `length` bytes and give it its final name beside its own.

        False where the volume has no hard links. Raises `Vanished`, `OSError` as `finish` does.
        """
        if not self._can_link:
            return False
        name, files = _name(upload_id, suffix), self._files()
        try:
            with self._whole(upload_id, length) as folder:
                # A crash here leaves the whole file in `temp_chunks`, as before the call.
                if not linked(_DATA, folder, name, files):
                    self._can_link = False
                    return False
        except Vanished:
            if size_of(name, files) is None:
                raise
        # A crash here leaves both names, the final one unsynced. Called again, this syncs it.
        self._sync(files)
        return True

    def finish(self, upload_id: str, suffix: str, length: int, crc: int | None = None) -> LocalFile:
        """Cut the unfinished file to `length` bytes and rename it.

        Called again, finds it finished. Raises `Vanished`; `OSError`, also when there are fewer
        bytes than `length`, or when another file has the name.
        """
        name, files = _name(upload_id, suffix), self._files()
        # A file that has its final name is never replaced, even if there is unfinished data again:
        # a process that was stopped may have reserved late.
        if (there := size_of(name, files)) is None:
            with self._whole(upload_id, length) as folder:
                # A crash here leaves the whole file in `temp_chunks`. Called again, this
                # renames it.
                os.rename(_DATA, name, src_dir_fd=folder, dst_dir_fd=files)
        elif there != length and self._reserved(upload_id, self._chunks()) >= 0:
            raise taken(name)  # so these bytes are not in it
        # A crash here leaves the file under its final name and an empty folder, neither of
        # them synced. Called again, this finds the file and goes on here.
        self._sync(files)
        # What is left of the folder, by a crash here or because something in it cannot
        # be removed, is the sweep's: the file is finished.
        with suppress(OSError):
            self._remove(upload_id, self._chunks())
        return self.finished_file(upload_id, suffix)

    @contextmanager
    def _whole(self, upload_id: str, length: int) -> Iterator[int]:
        """The folder of the unfinished file, which has exactly `length` bytes, all of them safe."""
        folder, data = self._open_data(upload_id)
        try:
            self._cut(data, length, upload_id)
            # The bytes were synced as they came; this syncs the new length.
            self._sync(data)
            yield folder
        finally:
            os.close(data)
            os.close(folder)

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

    def finished_file(self, upload_id: str, suffix: str) -> LocalFile:
        """The file that `link` or `finish` makes."""
        path = self._root / _FILES / _name(upload_id, suffix)
        return LocalFile(path, lambda: os.dup(self._files()))

    def discard(self, upload_id: str, suffix: str) -> None:
        """Remove the finished file; without effect if there is none."""
        name, files = _name(upload_id, suffix), self._files()
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=files)
        # A crash here leaves the removal unsynced; called again syncs it.
        self._sync(files)

    def _open_data(self, upload_id: str, how: int = os.O_RDWR) -> tuple[int, int]:
        """Descriptors of the folder and of the data in it. Raises `Vanished`, `OSError`."""
        chunks = self._chunks()
        try:
            folder = os.open(check_upload_id(upload_id), _FOLDER, dir_fd=chunks)
            try:
                return folder, os.open(_DATA, how | os.O_NOFOLLOW, dir_fd=folder)
            except BaseException:
                os.close(folder)
                raise
        except FileNotFoundError:
            raise Vanished(upload_id) from None

    def _sync(self, fd: int) -> None:
        if self._durable:
            disk.sync_file(fd)


def _name(upload_id: str, suffix: str) -> str:
    return f"{check_upload_id(upload_id)}{check_suffix(suffix)}"
