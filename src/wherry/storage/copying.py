"""Copies of bytes from one file to another of the same volume.

Rule 1: the kernel copies them (`copy_file_range`). Where the file system can, it lets both files
share whole blocks, and nothing is written. Only where there is no such call, they are read and
written.
"""

from __future__ import annotations

import errno
import os

from wherry.core.limits import MiB
from wherry.core.ranges import Range
from wherry.storage import disk

#: How many bytes are read at once where the kernel does not copy.
BLOCK = 1 * MiB
#: The answers of a system that cannot copy these two files.
_CANNOT = disk.CANNOT | {errno.EXDEV, errno.EPERM}


def copy_range(source: int, within: Range, target: int, at: int) -> None:
    """Put these bytes of the open file `source` into `target`, from byte `at` on.

    Nothing is synced. Raises `OSError`, also when `source` ends before.
    """
    start, shift = within.start, at - within.start
    while start < within.end:
        copied = _copied(source, start, target, start + shift, within.end - start)
        if not copied:
            raise OSError(errno.EIO, f"{start} bytes are left of {within.end} that were received")
        start += copied


def _copied(source: int, start: int, target: int, at: int, most: int) -> int:
    """How many bytes were copied; 0 at the end of the file."""
    if hasattr(os, "copy_file_range"):
        try:
            # Some file systems (Linux 5.3 to 5.18) answer 0 for what they cannot copy.
            if copied := os.copy_file_range(source, target, most, start, at):
                return copied
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
    left = memoryview(os.pread(source, min(most, BLOCK), start))
    size = len(left)
    while left:
        written = os.pwrite(target, left, at)
        at, left = at + written, left[written:]
    return size
