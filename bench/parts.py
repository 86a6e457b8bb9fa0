"""Measures what one more chunk costs an upload with few parts, and with as many as it may have.

    .venv/bin/python bench/parts.py [FOLDER]

FOLDER: a folder on the disk to measure; by default the system's temporary folder. On a tmpfs, no
time of the disk is in the figures.

It times what is done for each chunk apart from its bytes, as CPU time: the upload is read around
the range, the part is recorded, and the answer is made. At first nobody else writes; then another
connection, as of a second process, commits between every two chunks: a change of another upload,
or a part of the same one.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.ranges import Part, PartSet, Range
from wherry.core.upload import Upload
from wherry.protocols.chunked.models import render_received

#: A part and the gap behind it, in bytes.
STEP = 1000
CHUNKS = 20
COUNTS = (10, 1_000, 9_999 - 2 * CHUNKS)


def new_upload(name: str, parts: int) -> Upload:
    """An upload with so many parts, and a gap behind each."""
    received = PartSet(tuple(Part(n * STEP, n * STEP + 1, 5, 1.0) for n in range(parts)))
    length = 20_000 * STEP
    return Upload(name, "bench", "film.mp4", length, length, received=received, slot_until=1e18)


def record(at: int) -> Callable[[Upload], Upload]:
    return lambda u: replace(u, received=u.received.add(Part(at, at + 1, 5, 1.0)))


def chunk(catalog: SqliteCatalog, name: str, at: int) -> float:
    """Record one byte at `at` and render the answer. Returns microseconds of CPU."""
    began = time.process_time()
    catalog.around(name, Range(at, at + 1))
    upload = catalog.submit_update(name, record(at)).result()
    render_received(upload).model_dump_json()
    return (time.process_time() - began) * 1e6


def measure(mine: SqliteCatalog, other: SqliteCatalog, parts: int) -> list[float]:
    """The median cost of a chunk: alone, beside changes of another upload, and of the same one."""
    others: tuple[tuple[str, Callable[[str, int], object]], ...] = (
        ("alone", lambda name, n: None),
        (
            "another",
            lambda name, n: other.submit_update(f"else-{parts}", record(n * STEP)).result(),
        ),
        ("the same", lambda name, n: other.submit_update(name, record(n * STEP + 700)).result()),
    )
    other.submit_create(new_upload(f"else-{parts}", 0)).result()
    found = []
    for what, meanwhile in others:
        name = f"{what}-{parts}"
        mine.submit_create(new_upload(name, parts)).result()
        chunk(mine, name, 400)
        took = []
        for number in range(CHUNKS):
            place = number * (parts // CHUNKS or 1) + 1
            meanwhile(name, place)
            took.append(chunk(mine, name, place * STEP + 300 + number))
        found.append(statistics.median(took))
    return found


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        path = Path(folder) / "catalog.db"
        mine, other = SqliteCatalog(path), SqliteCatalog(path)
        print("| parts | alone | others change another upload | others change the same |")
        print("|---|---|---|---|")
        for parts in COUNTS:
            cells = " | ".join(f"{cost:,.0f} µs" for cost in measure(mine, other, parts))
            print(f"| {parts:,} | {cells} |")
        for catalog in (mine, other):
            catalog._close()


if __name__ == "__main__":
    main()
