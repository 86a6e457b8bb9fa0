"""An upload without room waits in the queue, and none is admitted ahead of it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.engine.conftest import ALICE, Bytes, World, created, settings_in, written

from wherry.core.admission import Queue
from wherry.core.errors import NoRoom, Queued, UploadGone
from wherry.core.requests import Caller, Create, Write
from wherry.core.upload import State, Upload
from wherry.engine import Engine

pytestmark = pytest.mark.anyio

BOB = Caller("bob")
DATA = b"x" * 1000


def limited(world: World, **changes: Any) -> Engine:
    world.settings = settings_in(world.settings.data, **changes)
    return world.engine()


async def position(engine: Engine, upload: Upload) -> int | None:
    return (await engine.positions([upload])).get(upload.id)


async def state(engine: Engine, upload: Upload) -> State:
    return (await engine.status(Caller(upload.owner), upload.id)).state


async def test_an_upload_without_room_waits_until_it_is_admitted(
    world: World,
) -> None:
    engine = limited(world, max_open=1)
    first, second, third = [await created(engine, 100) for _ in range(3)]
    assert [u.state for u in (first, second, third)] == [
        State.RECEIVING,
        State.WAITING,
        State.WAITING,
    ]
    assert [await position(engine, u) for u in (first, second, third)] == [None, 1, 2]
    await engine.cancel(ALICE, first.id)
    await engine.advance()
    assert await state(engine, second) is State.RECEIVING
    assert await position(engine, third) == 1


async def test_a_waiting_upload_has_no_folder_accepts_no_byte_and_gets_its_position(
    world: World,
) -> None:
    engine = limited(world, max_open=1)
    await created(engine, 100)
    waiting = await created(engine, 100)
    body = Bytes(b"x" * 100)
    with pytest.raises(Queued) as caught:
        await engine.write(ALICE, Write(waiting.id, 0), body)
    assert (caught.value.position, body.remaining) == (1, 100)
    with pytest.raises(Queued):
        await engine.complete(ALICE, waiting.id)
    assert len(list(world.storage.unfinished())) == 1
    assert (await world.catalog.queue(world.now)).reserved == 100


async def test_one_with_few_uploads_goes_before_the_rest_of_one_with_many(world: World) -> None:
    engine = limited(world, max_open=1)
    [await created(engine, 100) for _ in range(4)]
    bobs, _ = await engine.create(BOB, Create("film.mp4", 100))
    assert await position(engine, bobs) == 1


async def test_a_restart_keeps_every_position(world: World) -> None:
    engine = limited(world, max_open=1)
    first, *rest = [await created(engine, 100) for _ in range(4)]
    again = world.engine()
    assert [await position(again, upload) for upload in rest] == [1, 2, 3]
    await again.cancel(ALICE, first.id)
    async with again.running():
        while await state(again, rest[0]) is State.WAITING:
            await anyio.sleep(0.01)
    assert [await position(again, upload) for upload in rest] == [None, 1, 2]


async def test_the_same_file_again_finds_its_position_in_the_queue(world: World) -> None:
    engine = limited(world, max_open=1)
    await created(engine, 100)
    waiting = await created(engine, 100, fingerprint="f")
    await created(engine, 100)
    again, is_new = await engine.create(ALICE, Create("film.mp4", 100, fingerprint="f"))
    assert (again.id, is_new) == (waiting.id, False)
    assert await position(engine, again) == 1


async def test_a_turn_that_is_not_used_within_a_minute_goes_to_the_next(world: World) -> None:
    engine = limited(world, max_open=1)
    first, second, third = [await created(engine, 100) for _ in range(3)]
    await engine.cancel(ALICE, first.id)
    await engine.advance()
    world.now += 59
    await engine.advance()
    assert await state(engine, second) is State.RECEIVING
    world.now += 1
    await engine.advance()
    assert await state(engine, third) is State.RECEIVING
    with pytest.raises(UploadGone) as caught:
        await written(engine, second, 0, b"x" * 100)
    assert caught.value.state == "expired"
    assert not world.keeps(second.id)


async def test_an_upload_that_uses_its_turn_keeps_it(world: World) -> None:
    engine = limited(world, max_open=1)
    first, second = [await created(engine, 100) for _ in range(2)]
    await written(engine, first, 0, b"x")
    for _ in range(5):
        world.now += 59
        await engine.advance()
        await written(engine, first, 0, b"x")
    assert await state(engine, second) is State.WAITING


async def test_a_slot_that_is_renewed_while_the_queue_is_read_is_not_given_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, read = limited(world, max_open=1), world.catalog.queue
    first = await created(engine, 100)

    async def queue(now: float, latest: float) -> Queue:
        world.now += 1
        await written(engine, first, 0, b"x")
        return await read(now, latest)

    with monkeypatch.context() as patch:
        patch.setattr(world.catalog, "queue", queue)
        second = await created(engine, 100)
    assert second.state is State.WAITING


async def test_no_upload_loses_its_turn_while_none_waits(world: World) -> None:
    engine = limited(world, max_open=1)
    alone = await created(engine, 100)
    world.now += 3600
    await engine.advance()
    await written(engine, alone, 0, b"x" * 100)


async def test_an_idle_upload_keeps_its_bytes_and_comes_back_before_those_that_have_none(
    world: World,
) -> None:
    engine = limited(world, max_open=1)
    idle = await created(engine, 100)
    await written(engine, idle, 0, b"x" * 10)
    next_, last = [await created(engine, 100) for _ in range(2)]
    world.now += world.settings.slot_idle
    await engine.advance()
    assert await state(engine, next_) is State.RECEIVING
    with pytest.raises(Queued) as caught:
        await written(engine, idle, 10, b"x" * 90)
    assert caught.value.position == 1
    assert await position(engine, last) == 2
    await engine.cancel(ALICE, next_.id)
    await engine.advance()
    await written(engine, idle, 10, b"x" * 90)
    assert (await engine.complete(ALICE, idle.id)).is_complete()


async def test_what_waits_expires_like_any_other(world: World) -> None:
    engine = limited(world, max_open=1)
    first, second = [await created(engine, 100) for _ in range(2)]
    await written(engine, first, 0, b"x")
    world.now += world.settings.expires_after - 1
    await written(engine, first, 1, b"x")
    world.now += 2
    await engine.sweep()
    assert await state(engine, first) is State.RECEIVING
    assert await state(engine, second) is State.EXPIRED


async def test_a_full_queue_is_refused_as_full(world: World) -> None:
    engine = limited(world, max_open=1, max_waiting=1)
    [await created(engine, 100) for _ in range(2)]
    with pytest.raises(NoRoom):
        await created(engine, 100)
    assert len(await engine.uploads(ALICE)) == 2  # nothing is left of the third


async def test_in_a_long_queue_the_newest_upload_has_its_position_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.engine.admitting.LONG_QUEUE", 0)
    monkeypatch.setattr("wherry.engine.admitting.MAX_AGE", 1000.0)
    engine = limited(world, max_open=1, max_waiting=2)
    for _ in range(3):
        newest = await created(engine, 100)
        await engine.with_position(newest)
    with pytest.raises(NoRoom):
        await created(engine, 100)
    with pytest.raises(NoRoom):
        await engine.receive(ALICE, Create("film.mp4", len(DATA)), Bytes(DATA))


async def test_one_ordinary_request_cannot_wait_and_leaves_no_trace_in_the_queue(
    world: World,
) -> None:
    engine = limited(world, max_open=1)
    await created(engine, 100)
    with pytest.raises(NoRoom):
        await engine.receive(ALICE, Create("film.mp4", len(DATA)), Bytes(DATA))
    assert (await world.catalog.queue(world.now)).entries == ()


async def test_leaving_the_queue_is_cancelling(world: World) -> None:
    engine = limited(world, max_open=1)
    first, second, third = [await created(engine, 100) for _ in range(3)]
    await engine.cancel(ALICE, second.id)
    assert await position(engine, third) == 1
    assert await state(engine, first) is State.RECEIVING


async def test_of_many_concurrent_uploads_no_more_are_admitted_than_the_limit(world: World) -> None:
    world.settings = settings_in(world.settings.data, max_open=5)
    engines = [world.engine(), world.engine()]
    uploads: list[Upload] = []

    async def come(number: int) -> None:
        uploads.append(await created(engines[number % 2], 100))

    async with anyio.create_task_group() as group:
        for number in range(40):
            group.start_soon(come, number)
    queue = await world.catalog.queue(world.now)
    assert (queue.open, len(queue.entries)) == (5, 35)
    assert len(list(world.storage.unfinished())) == 5
    done = 0
    while done < 40:
        for upload in await engines[0].uploads(ALICE, {State.RECEIVING}):
            await written(engines[0], upload, 0, b"x" * 100)
            await engines[0].complete(ALICE, upload.id)
            done += 1
        await engines[1].advance()
    assert (await world.catalog.queue(world.now)).open == 0
