"""Measures how long an upload of 500 MiB takes with Wherry's Python client, for three chunk sizes.

    .venv/bin/python bench/upload.py

Client and server run on this machine. The server syncs bytes before it acknowledges them. For
comparison, the last line is a program that writes and syncs the same bytes to a file.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from wherry.client import Client
from wherry.core.limits import KiB, MiB
from wherry.testing.server import serving

SIZE = 500 * MiB
CHUNKS = (5 * MiB, 640 * KiB, 64 * KiB)


def peak_rss(pid: int) -> int:
    """The peak of the process's resident memory, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * KiB


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="wherry-bench-") as name:
        folder = Path(name)
        film = folder / "film.mp4"
        block = os.urandom(MiB)
        begun = time.perf_counter()
        with film.open("wb") as file:
            for at in range(0, SIZE, MiB):
                file.write(block)
                if at % (5 * MiB) == 0:
                    file.flush()
                    os.fdatasync(file.fileno())
            os.fdatasync(file.fileno())
        plain = time.perf_counter() - begun
        print("| chunk | seconds | MiB/s | complete | sent twice | peak memory of the server |")
        print("|---|---|---|---|---|---|")
        for chunk in CHUNKS:
            with serving(folder / f"data-{chunk}", assessment=False) as server:
                result = Client(f"{server.url}/api", chunk_size=chunk).upload(film)
                print(
                    f"| {chunk // KiB} KiB | {result.seconds:.1f} | {500 / result.seconds:.0f} "
                    f"| {result.complete_seconds * 1000:.0f} ms | {result.bytes_sent_twice} B "
                    f"| {peak_rss(server.pid) // MiB} MiB |"
                )
        print(f"| only a file, synced every 5 MiB | {plain:.1f} | {500 / plain:.0f} | – | – | – |")


main()
