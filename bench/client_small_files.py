"""What a small file costs the Python client: CPU and time for each of many files of 100 KiB.

    wherry serve --data /dev/shm/wherry --assessment off --durability process-crash
    python bench/client_small_files.py http://127.0.0.1:8000/api 200

It sends them with one `Client`, in chunks for comparison, and four at once with `AsyncClient`.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from wherry.client import AsyncClient, Client

SIZE = 100 * 1024


def with_client(url: str, files: list[Path], *, smart: bool) -> None:
    with Client(url) as client:
        for file in files:
            client.upload(file, smart=smart)


async def at_once(url: str, files: list[Path]) -> None:
    async with AsyncClient(url) as client:
        await asyncio.gather(*(client.upload(file) for file in files))


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(name: str, count: int, act: Callable[[], None]) -> None:
    cpu_before, before = cpu(), time.perf_counter()
    act()
    spent, took = cpu() - cpu_before, time.perf_counter() - before
    print(f"{name:12} {spent / count * 1000:6.2f} ms CPU  {took / count * 1000:6.2f} ms a file")


def main(url: str, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"photo-{number}.jpg" for number in range(count)]
        for file in files:
            file.write_bytes(os.urandom(SIZE))
        measure("one request", count, lambda: with_client(url, files, smart=True))
        measure("in chunks", count, lambda: with_client(url, files, smart=False))
        measure("four at once", count, lambda: asyncio.run(at_once(url, files)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200)
