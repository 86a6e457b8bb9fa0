"""What lies under a name in an open folder.

Rule 1: no symbolic link is followed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.storage import disk


@contextmanager
def opened(name: str, flags: int, folder: int) -> Iterator[int]:
    """A descriptor, which is closed in the end. What is made is for this user alone."""
    fd = os.open(name, flags | os.O_NOFOLLOW, mode=0o600, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)


def status(name: str, folder: int) -> os.stat_result:
    """Raises `FileNotFoundError` and other `OSError`s."""
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


def size_of(name: str, folder: int) -> int | None:
    """Of a regular file; None if there is none. Raises `OSError`, but not for that."""
    try:
        found = status(name, folder)
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def is_folder(name: str, folder: int) -> bool:
    """Whether there is a folder of this name. Raises `OSError`, but not because there is none."""
    try:
        return stat.S_ISDIR(status(name, folder).st_mode)
    except FileNotFoundError:
        return False


def linked(name: str, folder: int, final: str, files: int) -> bool:
    """Give a file the name `final` in `files` as well; called again, find that it has it.

    False where the volume has no hard links. Raises `FileExistsError` where something else has
    the name, and other `OSError`s.
    """
    try:
        os.link(name, final, src_dir_fd=folder, dst_dir_fd=files, follow_symlinks=False)
    except FileExistsError as error:
        if not os.path.samestat(status(name, folder), status(final, files)):
            raise taken(final) from error
    except OSError as error:
        if error.errno not in disk.NO_LINKS:
            raise
        return False
    return True


def taken(final: str) -> FileExistsError:
    """The error to raise; its text is for the operator's log and the client."""
    return FileExistsError(errno.EEXIST, "another file has the name of the finished one", final)
