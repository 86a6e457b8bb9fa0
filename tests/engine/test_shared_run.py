"""Many tasks that need the same thing done get it from one run."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from tests.engine.conftest import ALICE, World, settings_in

from wherry.core.admission import Queue
from wherry.core.requests import Create
from wherry.core.upload import State
from wherry.engine.shared_run import SharedRun

pytestmark = pytest.mark.anyio

LONG = 120.0


class Slow:
    """An action that ends when the test says so. It returns the number of its run."""

    def __init__(self) -> None:
        self.begun = 0
        self.go_on = anyio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await self.go_on.wait()
        return number


async def begun(slow: Slow, number: int) -> None:
    with anyio.fail_after(LONG):
        while slow.begun < number:
            await anyio.sleep(0.001)


async def test_those_that_ask_during_a_run_share_the_next_one() -> None:
    slow = Slow()
    run = SharedRun(slow)
    first = asyncio.ensure_future(run())
    await begun(slow, 1)
    others = [asyncio.ensure_future(run()) for _ in range(20)]
    await anyio.sleep(0)
    slow.go_on.set()
    with anyio.fail_after(LONG):
        assert await first == 1
        assert await asyncio.gather(*others) == [2] * 20
    assert slow.begun == 2


async def test_one_that_is_cancelled_does_not_end_the_run_of_the_others() -> None:
    slow = Slow()
    run = SharedRun(slow)
    gone, stays = asyncio.ensure_future(run()), asyncio.ensure_future(run())
    await begun(slow, 1)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    slow.go_on.set()
    with anyio.fail_after(LONG):
        assert await stays == 1


async def test_an_error_is_that_of_all_and_the_next_run_is_another_one() -> None:
    calls = 0

    async def fail_once() -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("away")
        return "there"

    run = SharedRun(fail_once)
    found = await asyncio.gather(run(), run(), return_exceptions=True)
    assert [type(each) for each in found] == [OSError, OSError]
    assert await run() == "there"


async def test_fifty_that_come_at_once_do_not_read_the_queue_fifty_times(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.settings = settings_in(world.settings.data, max_open=1)
    engine = world.engine()
    reads, read = 0, world.catalog.queue

    async def queue(now: float, latest_slot_end: float) -> Queue:
        nonlocal reads
        reads += 1
        return await read(now, latest_slot_end)

    monkeypatch.setattr(world.catalog, "queue", queue)
    states = list[State]()

    async def begin() -> None:
        upload, _ = await engine.create(ALICE, Create("film.mp4", 1000))
        states.append(upload.state)

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(begin)
    assert (states.count(State.RECEIVING), states.count(State.WAITING)) == (1, 49)
    assert reads < 50
