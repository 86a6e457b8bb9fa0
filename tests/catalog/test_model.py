"""Whatever is asked in whatever order, SQLite answers as a dictionary does."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wherry.catalog import Catalog
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.admission import Queue
from wherry.core.assessment import Assessment, LeaseLost
from wherry.core.errors import UploadError
from wherry.core.limits import Limits
from wherry.core.ranges import Part, Range
from wherry.core.upload import State, Upload
from wherry.testing.memory.catalog import MemoryCatalog

LENGTH = 6
NAMES = ["a", "b", "c"]

names = st.sampled_from(NAMES)
tokens = st.sampled_from(["s", "t"])
ranges = st.builds(
    lambda start, size: Range(start, min(start + size, LENGTH)),
    st.integers(0, LENGTH - 1),
    st.integers(1, LENGTH),
)
times = st.integers(0, 20).map(float)

Step = Callable[[Catalog], Awaitable[object]]


def create(name: str, fingerprint: str | None, now: float, queued_at: float | None) -> Step:
    state = State.RECEIVING if queued_at is None else State.WAITING
    new = Upload(
        name, "o", "f", LENGTH, LENGTH, created_at=now, began_at=now, fingerprint=fingerprint
    )
    return lambda catalog: catalog.create(replace(new, state=state, queued_at=queued_at))


def advance(now: float) -> Step:
    def choose(queue: Queue) -> list[str]:
        return [place.upload_id for place in queue.admissible(Limits(max_open=2))]

    return lambda catalog: catalog.advance(now, choose, lambda u: u.admit(now, now + 5))


def lease(name: str, want: Range, token: str, now: float) -> Step:
    return lambda catalog: catalog.update(name, lambda u: u.lease(want, token, now))


def record(name: str, part: Range, token: str, now: float) -> Step:
    made = Part(part.start, part.end, part.start << 61, now)  # up to 64 bits
    return lambda catalog: catalog.update(name, lambda u: u.record(token, (made,)))


def complete(name: str, now: float) -> Step:
    def change(upload: Upload) -> Upload:
        return upload.begin_completion("c", now, now).complete("c", f"of-{name}")

    queued = Assessment(f"of-{name}", name, "o", now)
    return lambda catalog: catalog.update(name, change, queued)


def arrive(name: str, now: float, slot: float, latest: float) -> Step:
    """The answer is also the queue that the check got."""
    new = Upload(name, "op"[name == "c"], "f", LENGTH, LENGTH, created_at=now, slot_until=slot)

    async def step(catalog: Catalog) -> object:
        seen: list[Queue] = []
        answer = await asyncio.wrap_future(catalog.submit_create(new, None, seen.append, latest))
        return [answer, *map(queue_in_order, seen)]

    return step


steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(create, names, st.sampled_from([None, "f"]), times, st.none() | times),
    st.builds(arrive, names, times, times, st.just(math.inf) | times),
    st.builds(lease, names, ranges, tokens, times),
    st.builds(record, names, ranges, tokens, times),
    st.builds(lease, names, st.just(Range(0, LENGTH)), tokens, times),
    st.builds(record, names, st.just(Range(0, LENGTH)), tokens, times),
    st.builds(complete, names, times),
    st.builds(lambda n, now: lambda c: c.update(n, lambda u: u.cancel(now)), names, times),
    st.builds(advance, times),
    st.builds(lambda n, now: lambda c: c.update(n, lambda u: u.discard(now)), names, times),
    st.builds(lambda n, now: lambda c: c.update(n, lambda u: u.enter_queue(now)), names, times),
    st.builds(lambda n: lambda c: c.forget([n]), names),
    st.builds(
        lambda now: lambda c: c.lease_assessment(now, lambda a: a.lease("w", now, now + 3)), times
    ),
)


async def told(answer: Awaitable[object]) -> object:
    try:
        return await answer
    except (UploadError, LeaseLost, ValueError) as error:
        return type(error), str(error)


async def everything(catalog: Catalog) -> list[Any]:
    return [
        [leases_in_order(upload) for upload in await catalog.uploads()],
        [upload.id for upload in await catalog.uploads({State.RECEIVING}, "o")],
        await catalog.assessments(),
        queue_in_order(await catalog.queue(5.0)),
        await catalog.used(),
    ]


def queue_in_order(queue: Queue) -> object:
    return queue.in_order(), queue.taken, sorted(queue.unused)


def leases_in_order(answer: object) -> object:
    """A catalog keeps which leases there are, not how they lay in their tuple."""
    if isinstance(answer, list):
        return sorted((leases_in_order(each) for each in answer), key=str)
    if not isinstance(answer, Upload):
        return answer
    return replace(answer, leases=tuple(sorted(answer.leases, key=lambda lease: lease.range)))


@pytest.fixture
def path_of_each(tmp_path: Path) -> Callable[[], Path]:
    number = count()
    return lambda: tmp_path / f"{next(number)}.db"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=st.lists(steps, max_size=25))
def test_sqlite_answers_as_memory_does(path_of_each: Callable[[], Path], asked: list[Step]) -> None:
    async def compare() -> None:
        model, real = MemoryCatalog(), SqliteCatalog(path_of_each())
        try:
            for step in asked:
                assert leases_in_order(await told(step(real))) == leases_in_order(
                    await told(step(model))
                )
            assert await everything(real) == await everything(model)
        finally:
            await real.close()

    asyncio.run(compare())
