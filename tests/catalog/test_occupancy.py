"""What is counted on from change to change is what a query finds."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wherry.catalog import Change
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.admission import Queue
from wherry.core.errors import NoRoom
from wherry.core.upload import State
from wherry.testing.catalog.fixtures import new_upload

NAMES = ("a", "b", "c")
times = st.integers(0, 6).map(float)
ends = times | st.just(math.inf)


def moved(state: State) -> Change:
    return lambda upload: replace(upload, state=state)


def with_slot(until: float) -> Change:
    return lambda upload: replace(upload, slot_until=until)


def queued(at: float | None) -> Change:
    return lambda upload: replace(upload, queued_at=at)


changes = st.one_of(
    st.builds(with_slot, ends),
    st.builds(with_slot, ends),
    st.builds(moved, st.sampled_from(list(State))),
    st.builds(queued, st.none() | st.none() | times),
)
#: A change of one upload; or None, which forgets it.
steps = st.tuples(st.sampled_from(NAMES), st.none() | changes | changes | changes)
moments = st.tuples(times, ends)


@pytest.fixture
def path_of_each(tmp_path: Path) -> Callable[[], Path]:
    paths = (tmp_path / f"{number}.db" for number in range(10_000))
    return lambda: next(paths)


def asked(catalog: SqliteCatalog, now: float, latest: float) -> Queue:
    """The queue that an arrival gets to check. The arrival is refused."""
    seen: list[Queue] = []

    def refuse(queue: Queue) -> None:
        seen.append(queue)
        raise NoRoom

    new = replace(new_upload("refused"), created_at=now)
    assert isinstance(catalog.submit_create(new, None, refuse, latest).exception(), NoRoom)
    return seen[0]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(steps, moments), min_size=5, max_size=25))
def test_an_arrival_sees_what_is_recorded(
    path_of_each: Callable[[], Path],
    taken: list[tuple[tuple[str, Change | None], tuple[float, float]]],
) -> None:
    async def compare() -> None:
        catalog = SqliteCatalog(path_of_each())
        try:
            for (name, change), (now, latest) in taken:
                if change is None:
                    await catalog.forget([name])
                else:
                    new = replace(new_upload(name, owner="op"[name == "c"]), slot_until=3.0)
                    await asyncio.wrap_future(catalog.submit_create(new))
                    await catalog.update(name, change)
                assert asked(catalog, now, latest) == await catalog.queue(now, latest)
        finally:
            await catalog.close()

    asyncio.run(compare())
