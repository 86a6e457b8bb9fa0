"""What the operating system does for one file: room, locks, safety.

Rule 1: room is never made by writing. `fallocate(2)` is called directly, because
glibc's `posix_fallocate` writes zeros where a file system cannot reserve.

Rule 2: a sync that failed is final for its file descriptor. The kernel may have
marked the lost pages clean, so asking again would answer that all is well.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import struct
import sys

from wherry.core.ranges import Range

#: The disk is full: there is room again when something is deleted.
FULL = frozenset({errno.ENOSPC})
#: The answers of a system that knows the call but cannot do it here.
CANNOT = frozenset({errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.ENOLCK})
#: The answers where a hard link cannot be made, and a rename can.
NO_LINKS = CANNOT | {errno.EPERM, errno.EMLINK, errno.EXDEV}

if sys.platform == "linux":
    _libc = ctypes.CDLL(None, use_errno=True)
    # musl's off_t has 64 bits everywhere; glibc's needs the 64 in the name on 32-bit machines.
    _fallocate = getattr(_libc, "fallocate64", None) or _libc.fallocate
    _fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

    _sync_range = getattr(_libc, "sync_file_range", None)
    if _sync_range is not None:
        _sync_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    _SYNC_FILE_RANGE_WRITE = 2

    def start_writing_back(fd: int, written: Range) -> None:
        """Have these bytes of the page cache written to the disk, without waiting for it.

        It promises nothing, so that it fails does not matter. An error of the disk is left for
        `sync_data`: only the flags of this call that wait would take it away.
        """
        if _sync_range is not None:
            _sync_range(fd, written.start, len(written), _SYNC_FILE_RANGE_WRITE)

    def allocate(fd: int, length: int) -> bool:
        """Make the file `length` bytes long, with blocks of its own for every one.

        What is written already stays. False where the file system cannot reserve;
        then nothing has changed. Raises `OSError`.
        """
        while length and _fallocate(fd, 0, 0, length) != 0:
            error = ctypes.get_errno()
            if error in CANNOT:
                return False
            if error != errno.EINTR:
                raise OSError(error, os.strerror(error))
        return True

    def lock(fd: int, within: Range) -> bool:
        """Lock these bytes of the file against every other open descriptor of it.

        False if another descriptor has any of them locked. The lock ends when `fd` is closed, also
        by death. Never waits. Raises `OSError`.
        """
        # struct flock: type, whence, start, length, pid; the pid must be 0 here.
        request = struct.pack("@hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, within.start, len(within), 0)
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, request)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def sync_data(fd: int) -> None:
        """Return once the file's bytes are safe. Raises `OSError`, once and for all."""
        os.fdatasync(fd)

    def sync_file(fd: int) -> None:
        """Return once the file's bytes and its length are safe. Raises `OSError`."""
        os.fsync(fd)

else:  # macOS, for development.

    def start_writing_back(fd: int, written: Range) -> None:
        """Nothing: the system begins when it likes."""

    def allocate(fd: int, length: int) -> bool:
        """False: there is no call that reserves and can be undone by a truncation."""
        return False

    def lock(fd: int, within: Range) -> bool:
        """Without a lock by open descriptor, the lease in the catalog has to do."""
        return True

    def sync_data(fd: int) -> None:
        """Return once the file's bytes are safe. Raises `OSError`."""
        sync_file(fd)

    def sync_file(fd: int) -> None:
        """`fsync` on macOS stops at the drive's cache; F_FULLFSYNC goes through it."""
        full = getattr(fcntl, "F_FULLFSYNC", None)
        try:
            if full is not None:
                fcntl.fcntl(fd, full)
                return
        except OSError as error:
            if error.errno not in CANNOT:
                raise
        os.fsync(fd)


def largest_below(length: int) -> int:
    """What is known of the largest file, in bytes, where one of `length` was refused (EFBIG).

    The process's own limit (ulimit -f); else only that it is less.
    """
    of_process, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return of_process if 0 <= of_process < length else length - 1


#: How much is reserved to find out whether that is possible.
PROBE_BYTES = 1 << 16
#: Whether ranges can be locked on this system at all.
LOCKS = sys.platform == "linux"


def really_reserves(fd: int) -> bool:
    """Whether the volume of this file can reserve space, found out by doing it."""
    # On ZFS, fallocate succeeds and reserves nothing, so the blocks are counted.
    return allocate(fd, PROBE_BYTES) and os.fstat(fd).st_blocks * 512 >= PROBE_BYTES


def really_locks(fd: int) -> bool:
    """Whether the volume of this file has locks of ranges, found out by doing it."""
    try:
        return LOCKS and lock(fd, Range(0, 1))
    except OSError as error:
        if error.errno in CANNOT:
            return False
        raise
