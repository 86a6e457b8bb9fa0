"""One measurement: a fresh server, one workload, and a comparison of all that it stored.

Rule 1: no measurement counts whose stored bytes differ from what was sent.
Rule 2: everything is bounded by a timeout, and what was started is stopped.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.comparing import check_stored
from bench.driving import Driven, drive, step
from bench.longway import drive_long_way
from bench.peers import Dialect, Peer, Way
from bench.processes import Running
from bench.sockets import SocketMemory
from bench.workloads import MANY, Workload

#: After the last answer, a server may still work on what it was sent. That counts as well.
SETTLE = 0.3
_TOP_FOLDER = 0x00020000  # FS_TOPDIR_FL
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602


@dataclass(frozen=True)
class Measurement:
    """What one run measured. Times are seconds, memory is bytes."""

    seconds: float
    bytes: int
    files: int
    cpu_seconds: float
    """Of all processes of the server."""
    driver_cpu_seconds: float
    peak_memory: int
    """Of the processes that receive bytes."""
    socket_memory: int | None
    """The most that the kernel held meanwhile for the server's connections; None if unknown."""
    slowest: float
    """The longest time from an upload's first request to its last answer."""
    finishing: float | None
    """The median of the finishing calls, if the dialect has one."""


@dataclass(frozen=True)
class Bench:
    """What all measurements share: folders, and the file that uploads are taken from."""

    cache: Path
    disk: Path
    memory: Path
    source: Path
    driver: Path
    kept: list[Path] = field(default_factory=list)

    def measure(self, peer: Peer, way: Way, workload: Workload) -> Measurement:
        """Raises `Failed`, `WrongBytes`, or `NotStarted`."""
        above = self.memory if workload.in_memory else self.disk
        folder = above / f"{len(self.kept)}-{peer.key.replace('/', '-')}"
        self.kept.append(folder)
        folder.mkdir()
        try:
            os.sync()  # what an earlier run left in the page cache is not written during this one
            return self._measure(peer, way, workload, folder)
        finally:
            self._remove(folder, workload)

    def _measure(self, peer: Peer, way: Way, workload: Workload, folder: Path) -> Measurement:
        with peer.serve(folder, self.cache) as server:
            before = server.cpu_seconds()
            with SocketMemory(server.port) as sockets:
                driven = self._drive(server, peer.speaks[way], way, workload)
                time.sleep(SETTLE)
            cpu = server.cpu_seconds() - before
            memory = server.peak_memory(peer.web_pids(server))
        pieces = -(-workload.size // workload.request)
        for upload in driven.uploads:
            begin = upload.number * step(workload)
            files = peer.stored(folder, upload.identifier, pieces)
            check_stored(self.source, begin, workload.size, files)
        finishing = [upload.finishing for upload in driven.uploads]
        return Measurement(
            seconds=driven.seconds,
            bytes=workload.size * workload.count,
            files=workload.count,
            cpu_seconds=cpu,
            driver_cpu_seconds=driven.cpu_seconds,
            peak_memory=memory,
            socket_memory=sockets.peak,
            slowest=max(upload.seconds for upload in driven.uploads),
            finishing=statistics.median(finishing) if any(finishing) else None,
        )

    def _drive(self, server: Running, dialect: Dialect, way: Way, workload: Workload) -> Driven:
        if workload.long_way:
            return drive_long_way(
                server, dialect, way, workload=workload, source=self.source, cache=self.cache
            )
        return drive(self.driver, self.source, server, dialect, workload)

    def _remove(self, folder: Path, workload: Workload) -> None:
        """Remove what was stored.

        On the disk, small files are emptied and kept until the end: file systems create files
        more slowly where many have just been deleted, which would slow down the next server.
        """
        if workload.in_memory or workload.count < MANY:
            shutil.rmtree(folder, ignore_errors=True)
            return
        for path in folder.rglob("*"):
            if path.is_file():
                os.truncate(path, 0)


def spread_folders(folder: Path) -> None:
    """Ask ext4 to place each folder in `folder` in a part of the disk of its own.

    The files of one run are then not created where those of another were deleted. Other file
    systems refuse, which does no harm.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        flags = ctypes.c_long(0)
        fcntl.ioctl(descriptor, _GET_FLAGS, flags)
        flags.value |= _TOP_FOLDER
        fcntl.ioctl(descriptor, _SET_FLAGS, flags)
    except OSError:
        pass
    finally:
        os.close(descriptor)
