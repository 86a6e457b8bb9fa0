"""The plan with parts that go to the object store, and the requests that gather."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.client.answers import Answer
from wherry.client.backoff import Backoff
from wherry.client.chunk_size import FLOOR, ChunkSize, NetworkPath
from wherry.client.direct import DirectWay, parse_addresses
from wherry.client.errors import ClientError, UnexpectedAnswer
from wherry.client.gathering import Gathering
from wherry.client.plan import Chunk, Plan
from wherry.client.ranges import gaps, merge
from wherry.core.ranges import Range

pytestmark = pytest.mark.anyio
PART = 4 * FLOOR
FAILED = ClientError("no", code="store-failed", retryable=True)


@given(
    length=st.integers(1, 12 * PART),
    had=st.lists(st.tuples(st.integers(0, 48), st.integers(1, 6)), max_size=4),
    outcomes=st.lists(st.sampled_from(["ok", "ok", "again", "in chunks", "chunks"]), max_size=30),
    order=st.randoms(use_true_random=False),
)
def test_whatever_the_store_says_every_byte_arrives_once(
    length: int, had: list[tuple[int, int]], outcomes: list[str], order: object
) -> None:
    known = [Range(a * FLOOR, min((a + n) * FLOOR, length)) for a, n in had if a * FLOOR < length]
    plan = Plan(
        length,
        gaps(known, length),
        ChunkSize(NetworkPath(passed=PART), PART, FLOOR),
        4,
        Backoff(1e9),
        PART,
    )
    arrived, now, flying = merge(known), 0.0, list[Chunk]()
    while not plan.is_done:
        while (chunk := plan.next(now)) is not None:
            flying.append(chunk)
            check(chunk, flying, arrived, length)
        now = max(now + 1.0, plan.backoff.until) if not flying else now + 1.0
        if not flying:
            continue
        landed = flying.pop(order.randrange(len(flying)))  # type: ignore[attr-defined]
        outcome = outcomes.pop() if landed.part is not None and outcomes else "ok"
        if outcome == "ok":
            plan.passed(landed, now)
            arrived = merge([*arrived, landed.range])
        elif outcome == "again":
            plan.took_back(landed)
            plan.backoff.failed(FAILED, landed.began, now, 1.0)
        else:
            plan.to_chunks(landed)
            if outcome == "chunks":
                plan.end_direct()
    assert arrived == [Range(0, length)]


def check(chunk: Chunk, flying: list[Chunk], arrived: list[Range], length: int) -> None:
    assert len(flying) <= 4
    within = chunk.range
    assert not any(within.overlaps(other.range) for other in flying if other is not chunk)
    assert not any(within.overlaps(other) for other in arrived), "a byte is sent twice"
    if chunk.part is not None:
        assert chunk.part > 1
        start = (chunk.part - 1) * PART
        assert within == Range(start, min(start + PART, length))
    else:
        assert len(within) >= FLOOR or within.end == length


def test_a_way_that_was_given_up_is_given_up_for_all() -> None:
    way = DirectWay()
    assert not way.failed("network", 0.0, 1.0)
    way.passed(2.0)
    assert not way.is_open


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"parts": [{"number": 2}]}',
        '{"parts": [{"number": "x", "url": "https://s", "method": "PUT", "headers": {}}]}',
        '{"parts": [{"number": 2, "url": "file:///etc/passwd", "method": "PUT", "headers": {}}]}',
        '{"parts": [{"number": 2, "url": "https://s", "method": "PUT", "headers": 5}]}',
    ],
)
def test_an_answer_without_addresses_is_not_wherrys(text: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        parse_addresses(Answer(200, {}, text.encode(), 0.0))


class Asked:
    def __init__(self) -> None:
        self.batches: list[dict[int, int]] = []
        self.let_go = anyio.Event()
        self.error: Exception | None = None

    async def __call__(self, batch: Mapping[int, int]) -> int:
        self.batches.append(dict(batch))
        await self.let_go.wait()
        if self.error is not None:
            raise self.error
        return len(self.batches)


async def test_what_is_wanted_while_a_request_is_under_way_goes_together() -> None:
    asked, found = Asked(), dict[int, int]()
    gathering = Gathering(asked, 3)

    async def want(key: int) -> None:
        found[key] = await gathering(key, 10 * key)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(want, 0)
        await anyio.wait_all_tasks_blocked()
        for key in range(1, 6):
            tasks.start_soon(want, key)
        await anyio.wait_all_tasks_blocked()
        assert asked.batches == [{0: 0}]
        asked.let_go.set()
    assert asked.batches == [{0: 0}, {1: 10, 2: 20, 3: 30}, {4: 40, 5: 50}]
    assert found == {0: 1, 1: 2, 2: 2, 3: 2, 4: 3, 5: 3}


async def test_an_error_is_for_all_that_went_together_and_for_no_other() -> None:
    asked, failed = Asked(), list[int]()
    asked.error = ValueError("no")
    asked.let_go.set()
    gathering = Gathering(asked, 9)

    async def want(key: int) -> None:
        try:
            await gathering(key, 0)
        except ValueError:
            failed.append(key)

    async with anyio.create_task_group() as tasks:
        for key in range(3):
            tasks.start_soon(want, key)
    assert sorted(failed) == [0, 1, 2]
    asked.error = None
    assert await gathering(9, 0) == len(asked.batches)


async def test_one_that_is_cancelled_takes_no_other_with_it() -> None:
    asked, found = Asked(), list[int]()
    gathering = Gathering(asked, 9)
    first = anyio.CancelScope()

    async def give_up() -> None:
        with first:
            await gathering(1, 0)

    async def want() -> None:
        found.append(await gathering(2, 0))

    async with anyio.create_task_group() as tasks:
        gathering._next.asked[1] = 0  # both go together
        tasks.start_soon(give_up)
        tasks.start_soon(want)
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        await anyio.wait_all_tasks_blocked()
        asked.let_go.set()
    assert found
