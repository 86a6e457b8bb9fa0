"""The shape of this machine, and what its disk does; without names."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path

KiB = 1 << 10
MiB = 1 << 20
TIMES = 30


def find_shape(disk: Path) -> dict[str, str | int | float]:
    """Cores, memory, kernel, and the file system and the latency of `disk`."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory GB": round(pages / 1e9),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "file system": find_file_system(disk),
        "load at the start": round(os.getloadavg()[0], 1),
        "fdatasync after 5 MiB ms": round(sync_latency(disk, 5 * MiB) * 1000, 2),
        "fdatasync after 4 KiB ms": round(sync_latency(disk, 4 * KiB) * 1000, 2),
    }


def sync_latency(folder: Path, size: int) -> float:
    """The median time, in seconds, of appending `size` bytes to a file and syncing it."""
    block = os.urandom(size)
    path = folder / "latency"
    took = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        for number in range(TIMES):
            begun = time.perf_counter()
            os.pwrite(descriptor, block, number * size)
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - begun)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(took)


def find_file_system(folder: Path) -> str:
    """The type of the file system that holds `folder`."""
    best, kind = "", "unknown"
    where = str(folder.resolve())
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, found, *_ = line.split()
        if (where == point or where.startswith(point.rstrip("/") + "/")) and len(point) >= len(
            best
        ):
            best, kind = point, found
    return kind
