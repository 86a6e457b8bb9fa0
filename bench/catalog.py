"""Measures what the catalog costs: each operation by itself and in groups, and chunks.

    .venv/bin/python bench/catalog.py [FOLDER]

FOLDER: a folder on the disk to measure; by default the system's temporary folder. On a tmpfs, no
time of the disk is in the figures.

First the CPU time of single operations, as threads and coroutines call them. Then how many chunks
a second the catalog acknowledges, with one lease and one record each, and how many uploads a second
it admits, records and completes: in SQLite and, if it is installed, in a PostgreSQL of its own on
the same disk, by turns.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from wherry.catalog import Catalog
from wherry.catalog.postgres.catalog import PostgresCatalog
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.admission import Entry, Queue
from wherry.core.assessment import Assessment
from wherry.core.limits import KiB, Limits
from wherry.core.ranges import Part, Range
from wherry.core.upload import State, Upload
from wherry.testing.postgres import find_postgres, postgres

CHUNK = 64 * KiB
IN_FLIGHT = 32
UPLOADS = 16
CHUNKS = 250  # of each upload
ROUNDS = 3
GROUP = 32  # operations that are submitted together
SMALL = 1000  # uploads of one chunk each
OWNERS = 100


async def measure(what: str, catalog: Catalog, scattered: bool) -> str:
    """One line of results. `scattered`: every second chunk first, so that parts do not merge."""
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
    how = "scattered" if scattered else "in order"
    return (
        f"{what:10} {how:10} {len(took) / seconds:8.0f} acks/s   "
        f"p50 {percentiles[49] * 1e3:6.2f} ms   p99 {percentiles[98] * 1e3:6.2f} ms   "
        f"{cpu / len(took) * 1e6:5.0f} µs CPU each"
    )


async def measure_uploads(what: str, catalog: Catalog, in_one: bool) -> str:
    """One line of results. `in_one`: the whole file in one request, or in one chunk otherwise."""
    limits, todo = Limits(max_open=None), list(range(SMALL))

    async def upload(number: int) -> None:
        upload_id, owner = f"small-{number}", f"owner-{number % OWNERS}"
        new = Upload(upload_id, owner, "film.mp4", CHUNK, CHUNK, CHUNK, created_at=1.0)
        waiting = replace(new, state=State.WAITING, queued_at=1.0)
        entry = Entry(upload_id, owner, 1.0, CHUNK)

        def check(queue: Queue) -> None:
            assert queue.admits(entry, limits, None, 1.0)  # noqa: S101

        begun = waiting.arrive(CHUNK, 5, 1.0, None) if in_one else waiting.admit(1.0, 61.0)
        latest = limits.latest_slot_end(1.0)
        await asyncio.wrap_future(catalog.submit_create(begun, None, check, latest))
        if not in_one:
            part = Part(0, CHUNK, 5, 1.0)
            await catalog.update(upload_id, lambda u: u.record("", (part,), part.range))
            await catalog.update(upload_id, lambda u: u.complete_at_once(1.0, None))

    async def client() -> None:
        while todo:
            await upload(todo.pop())

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert all(u.is_complete() for u in await catalog.uploads())  # noqa: S101
    await catalog.close()
    how = "one request" if in_one else "one chunk"
    each = cpu / SMALL * 1e6
    return f"{what:10} {how:11} {SMALL / seconds:7.0f} uploads/s   {each:5.0f} µs CPU each"


def new_upload(name: str) -> Upload:
    length = CHUNK * CHUNKS
    return Upload(name, "bench", "film.mp4", length, length, CHUNK, slot_until=1e18)


def record(number: int) -> Callable[[Upload], Upload]:
    """Record a part beside the last one, as a chunk does that comes in order."""
    at = number * CHUNK
    return lambda u: replace(u, received=u.received.add(Part(at, at + CHUNK, 5, 1.0)))


def operations(catalog: SqliteCatalog) -> dict[str, Callable[[int], object]]:
    """What a thread calls, by name."""

    def arrive(number: int, group: int = 1) -> None:
        found = [
            catalog.submit_create(
                replace(new_upload(f"{number}-{n}-{group}"), state=State.COMPLETE),
                Assessment(f"{number}-{n}-{group}", f"{number}-{n}-{group}", "bench", 1.0),
                lambda queue: None,
            )
            for n in range(group)
        ]
        for future in found:
            future.result()

    return {
        "around": lambda n: catalog.around("open", Range(n * CHUNK, (n + 1) * CHUNK)),
        "update: a part": lambda n: catalog.submit_update("open", record(n)).result(),
        "create": lambda n: catalog.submit_create(new_upload(f"new-{n}")).result(),
        "create: complete, assessed": arrive,
        "the same, 32 at once, each": lambda n: arrive(n, GROUP),
    }


def measure_operations(folder: Path) -> None:
    """The CPU time of each, called from a thread and from the event loop."""
    catalog = SqliteCatalog(folder / "operations.db")
    catalog.submit_create(new_upload("open")).result()

    def cpu_of(act: Callable[[int], object], numbers: range) -> float:
        began = time.process_time()
        for number in numbers:
            act(number)
        return (time.process_time() - began) / len(numbers) * 1e6

    for what, act in operations(catalog).items():
        cpu_of(act, range(10))
        each = min(cpu_of(act, range(n, n + 40)) for n in (10, 50, 90, 130, 170))
        print(f"{what:28} {each / (GROUP if 'at once' in what else 1):6.0f} µs CPU")

    async def awaited() -> None:
        queries: dict[str, Callable[[], Awaitable[object]]] = {
            "load": lambda: catalog.load("open"),
            "update: nothing": lambda: catalog.update("open", lambda u: u),
        }
        for what, ask in queries.items():
            best = math.inf
            for _ in range(5):
                began = time.process_time()
                for _ in range(50):
                    await ask()
                best = min(best, (time.process_time() - began) / 50 * 1e6)
            print(f"{what + ', awaited':28} {best:6.0f} µs CPU")
        await catalog.close()

    asyncio.run(awaited())


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        measure_operations(Path(folder))
        compare(Path(folder))


def compare(folder: Path) -> None:
    """Acknowledgements and uploads a second, by turns."""
    with ExitStack() as running:
        server = None
        if find_postgres() is not None:
            folder.chmod(0o755)  # the server is another user
            server = running.enter_context(postgres(folder, durable=True))
        for turn in range(ROUNDS):
            for scattered in (False, True):
                lite = SqliteCatalog(folder / f"{turn}-{scattered}.db")
                print(asyncio.run(measure("SQLite", lite, scattered)))
                if server is not None:
                    catalog = PostgresCatalog(server.new_database())
                    print(asyncio.run(measure("PostgreSQL", catalog, scattered)))
            for in_one in (False, True):
                lite = SqliteCatalog(folder / f"{turn}-{in_one}-uploads.db")
                print(asyncio.run(measure_uploads("SQLite", lite, in_one)))
                if server is not None:
                    catalog = PostgresCatalog(server.new_database())
                    print(asyncio.run(measure_uploads("PostgreSQL", catalog, in_one)))


if __name__ == "__main__":
    main()
