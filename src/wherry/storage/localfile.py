"""A file on a local disk, to be read.

Rule 1: the file is reached through a descriptor of the folder it lies in, so "not found"
means that it is not in *this* folder, whatever lies at the same path by now (folders.py).

Rule 2: a file that is a symbolic link is not there.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from wherry.core.limits import MiB
from wherry.core.ranges import Range
from wherry.storage import Stat, disk

#: Bytes that are read at once.
BLOCK = MiB


@dataclass(frozen=True, slots=True)
class LocalFile:
    """`open_folder` opens the folder of `local_path`; its caller closes the descriptor."""

    local_path: Path
    open_folder: Callable[[], int] = field(compare=False, repr=False)

    @classmethod
    def at(cls, path: Path) -> Self:
        """Any file of this machine."""
        path = path.absolute()
        return cls(path, lambda: os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY))

    def __reduce__(self) -> tuple[Callable[[Path], LocalFile], tuple[Path]]:
        """A hook may send the file to another process; a descriptor cannot go along."""
        return LocalFile.at, (self.local_path,)

    def stat(self) -> Stat | None:
        """Size and age; None if there is no regular file of this name. Raises `OSError`."""
        try:
            with self._folder() as folder:
                found = os.stat(self.local_path.name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return Stat(found.st_size, found.st_mtime) if stat.S_ISREG(found.st_mode) else None

    def open(self) -> BinaryIO:
        """The file for reading. Raises `FileNotFoundError` and other `OSError`s."""
        with self._folder() as folder:
            flags = os.O_RDONLY | os.O_NOFOLLOW
            return os.fdopen(os.open(self.local_path.name, flags, dir_fd=folder), "rb")

    def read(self, within: Range) -> Iterator[bytes]:
        """These bytes, in blocks."""
        at = within.start
        with self.open() as file:
            while block := os.pread(file.fileno(), min(BLOCK, within.end - at), at):
                yield block
                at += len(block)

    def download(self, to: Path) -> None:
        """Copy it to `to`, which appears when the copy is whole."""
        with self.open() as source:
            write_whole(to, source)

    def url(self, lifetime: int, filename: str, content_type: str) -> None:
        """None: a disk has no address."""

    @contextmanager
    def _folder(self) -> Iterator[int]:
        fd = self.open_folder()
        try:
            yield fd
        finally:
            os.close(fd)


def write_whole(to: Path, source: BinaryIO, *, mode: int = 0o600, durable: bool = True) -> None:
    """Copy `source` to `to`, which appears when the copy is whole and safe. Raises `OSError`."""
    # A copy takes time, so it has another name until it is whole.
    fd, name = tempfile.mkstemp(prefix=f".{to.name[:100]}-", dir=to.parent)
    copy = Path(name)
    try:
        with os.fdopen(fd, "wb") as target:
            shutil.copyfileobj(source, target, BLOCK)
            target.flush()
            os.fchmod(fd, mode)
            if durable:
                disk.sync_file(fd)
        # A crash here leaves the copy under its other name.
        copy.rename(to)
    except BaseException:
        with suppress(OSError):
            copy.unlink()
        raise
    # Without this, power loss may bring back what had the name before.
    if durable:
        sync_folder(to.parent)


def sync_folder(path: Path) -> None:
    """Return once the names in this folder are safe. Raises `OSError`."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        disk.sync_file(fd)
    finally:
        os.close(fd)
