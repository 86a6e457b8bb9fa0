"""Measures what the rates of owners cost: chunks and new uploads with rates and without, by turns.

    .venv/bin/python bench/rates.py [FOLDER]

FOLDER: a folder on the disk to measure; by default the system's temporary folder. On a tmpfs, no
time of the disk is in the figures.

The engine takes chunks of 64 KiB of 16 owners at once, and begins uploads for them, with the
records in SQLite and, if it is installed, in a PostgreSQL of its own on the same disk. No HTTP is
in the figures, so the ratio is larger than that of a server. Each row: CPU time of this process and
wall time for each chunk or upload, without rates and with them; the ratios are medians of the
rounds. The last column: how many transactions for rates there were for each.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wherry.app import App
from wherry.body import Ended, First, Sink
from wherry.core.limits import KiB
from wherry.core.requests import Caller, Create, Write
from wherry.engine import Engine
from wherry.settings import Settings
from wherry.testing.postgres import find_postgres, postgres
from wherry.threads import until_returned

CHUNK = bytes(64 * KiB)
OWNERS, CHUNKS, UPLOADS, ROUNDS = 16, 200, 50, 5
#: What an installation might allow; no owner here uses it up.
RATES: dict[str, Any] = {
    "rate_requests": "600/minute",
    "rate_bytes": "10GiB/day",
    "rate_uploads": "600/hour",
}


class InMemory:
    """The body of a small request, which was read before."""

    remaining = len(CHUNK)

    async def gather(self, most: int) -> Sequence[memoryview] | None:
        return (memoryview(CHUNK),)

    async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
        await until_returned(lambda: sink(memoryview(CHUNK)[:limit]))
        return Ended.WHOLE


@dataclass
class Cost:
    """Of one chunk or upload: microseconds of CPU time and of wall time, and transactions."""

    cpu: float
    wall: float
    counted: float


async def measured(engine: Engine, count: int, do: Callable[[int], Awaitable[None]]) -> Cost:
    """All owners do it at once, each `count` times."""
    catalog: Any = engine._context.catalog
    before, calls = catalog.update_rate, 0

    async def noted(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        return await before(*given)

    catalog.update_rate = noted
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(do(owner) for owner in range(OWNERS)))
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    del catalog.update_rate
    every = OWNERS * count
    return Cost(cpu / every * 1e6, wall / every * 1e6, calls / every)


async def part(data: Path, database: str | None, rates: dict[str, Any]) -> dict[str, Cost]:
    settings: dict[str, Any] = {"max_open": None, "assessment": False, "database": database}
    app = App(Settings(data=data, **settings, **rates))
    engine = await app.engine()

    async def begin(owner: int) -> None:
        caller = Caller(f"owner-{owner}")
        for _ in range(UPLOADS):
            await engine.check_rate(caller)
            await engine.create(caller, Create("film.mp4", len(CHUNK)))

    async def send(owner: int) -> None:
        caller = Caller(f"owner-{owner}")
        upload, _ = await engine.create(caller, Create("film.mp4", CHUNKS * len(CHUNK)))
        for number in range(CHUNKS):
            await engine.check_rate(caller)
            await engine.write(caller, Write(upload.id, number * len(CHUNK)), InMemory())

    try:
        return {
            "an upload": await measured(engine, UPLOADS, begin),
            "a chunk": await measured(engine, CHUNKS, send),
        }
    finally:
        await app.stop()


async def compare(name: str, folder: Path, new_database: Callable[[], str] | None) -> None:
    found: dict[str, list[tuple[Cost, Cost]]] = {}
    for number in range(ROUNDS):
        costs = []
        for how, rates in (("without", dict[str, Any]()), ("with", RATES)):
            data = folder / f"{name}-{number}-{how}"
            costs.append(await part(data, new_database() if new_database else None, rates))
        for what in costs[0]:
            found.setdefault(what, []).append((costs[0][what], costs[1][what]))
    for what, rounds in found.items():
        cpu = compared([(a.cpu, b.cpu) for a, b in rounds])
        wall = compared([(a.wall, b.wall) for a, b in rounds])
        counted = statistics.median(b.counted for _, b in rounds)
        print(
            f"{name:10} {what:9}  CPU {cpu}   wall {wall}   {counted:.2f} transactions", flush=True
        )


def compared(rounds: list[tuple[float, float]]) -> str:
    without = statistics.median(a for a, _ in rounds)
    return f"{without:5.0f} µs, with rates × {statistics.median(b / a for a, b in rounds):4.2f}"


def main() -> None:
    with ExitStack() as opened:
        parent = sys.argv[1] if len(sys.argv) > 1 else None
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(dir=parent)))
        asyncio.run(compare("SQLite", folder, None))
        if find_postgres() is not None:
            folder.chmod(0o755)  # the server is another user
            server = opened.enter_context(postgres(folder, durable=True))
            asyncio.run(compare("PostgreSQL", folder, server.new_database))


if __name__ == "__main__":
    main()
