"""Measures how many chunks a second the catalog acknowledges, with one lease and one record each.

    .venv/bin/python bench/catalog.py [FOLDER]

FOLDER: a folder on the disk to measure; by default the system's temporary folder.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.limits import KiB
from wherry.core.ranges import Part, Range
from wherry.core.upload import Upload

CHUNK = 64 * KiB
IN_FLIGHT = 32
UPLOADS = 16
CHUNKS = 250  # of each upload


async def measure(folder: Path, scattered: bool) -> str:
    """One line of results. `scattered`: every second chunk first, so that parts do not merge."""
    catalog = SqliteCatalog(folder / f"scattered-{scattered}.db")
    length = CHUNK * CHUNKS
    for number in range(UPLOADS):
        new = Upload(f"upload-{number}", "bench", "film.mp4", length, length, CHUNK)
        await catalog.create(new)

    order = [*range(0, CHUNKS, 2), *range(1, CHUNKS, 2)] if scattered else range(CHUNKS)
    todo = [(f"upload-{n}", index) for index in order for n in range(UPLOADS)]
    todo.reverse()
    took: list[float] = []

    async def acknowledge(upload_id: str, index: int) -> None:
        token = f"{upload_id}-{index}"
        want = Range(index * CHUNK, (index + 1) * CHUNK)
        part = Part(want.start, want.end, index, 1.0)
        await catalog.update(upload_id, lambda u: u.lease(want, token, 1.0))
        await catalog.update(upload_id, lambda u: u.record(token, (part,)))

    async def client() -> None:
        while todo:
            began = time.perf_counter()
            await acknowledge(*todo.pop())
            took.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    uploads = await catalog.uploads()
    assert all(upload.offset == length for upload in uploads)  # noqa: S101
    await catalog.close()
    percentiles = statistics.quantiles(took, n=100)
    return (
        f"{'scattered' if scattered else 'in order':10} {len(took) / seconds:8.0f} acks/s   "
        f"p50 {percentiles[49] * 1e3:6.2f} ms   p99 {percentiles[98] * 1e3:6.2f} ms   "
        f"{cpu / len(took) * 1e6:5.0f} µs CPU each"
    )


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        for scattered in (False, True):
            print(asyncio.run(measure(Path(folder), scattered)))


if __name__ == "__main__":
    main()
