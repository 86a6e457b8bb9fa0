"""What lies under a name in an open folder.

Rule 1: no symbolic link is followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager


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


def is_file(name: str, folder: int) -> bool:
    """Whether there is a regular file. Raises `OSError`, but not because there is none."""
    try:
        return stat.S_ISREG(status(name, folder).st_mode)
    except FileNotFoundError:
        return False
