"""The queue on the disk: no space is reserved twice, no upload stops others, crashes do no harm."""

from __future__ import annotations

import asyncio
import errno
import threading
from contextlib import suppress
from typing import Any

import anyio
import pytest
from tests.engine.conftest import (
    ALICE,
    Bytes,
    Held,
    World,
    created,
    settings_in,
    written,
)

from wherry.core.admission import Space
from wherry.core.errors import DiskFull
from wherry.core.requests import Caller, Create, Write
from wherry.core.upload import State, Upload
from wherry.engine import Engine

pytestmark = [pytest.mark.anyio, pytest.mark.disk_only]

BOB = Caller("bob")


class Disk:
    """Storage on a small volume of `size` bytes, of which others have taken some."""

    def __init__(self, world: World, size: int, others: int = 0) -> None:
        self._world, self._storage, self._size, self._others = world, world.storage, size, others
        self.full = False
        self.broken: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def space(self) -> Space:
        taken = 0
        for upload_id, _ in self._storage.unfinished():
            with suppress(FileNotFoundError):  # removed just now, or not made yet
                taken += self._world.unfinished(upload_id).stat().st_size
        return Space(self._size, self._size - self._others - taken)

    def reserve(self, upload_id: str, length: int, suffix: str = "") -> None:
        if self.full:
            raise DiskFull
        if upload_id == self.broken:
            raise OSError(errno.EFBIG, "File too large")
        self._storage.reserve(upload_id, length)


async def state(engine: Engine, upload: Upload) -> State:
    return (await engine.status(Caller(upload.owner), upload.id)).state


async def test_no_upload_gets_a_reservation_that_the_disk_has_no_space_for(world: World) -> None:
    engine = world.engine(Disk(world, 250))
    uploads = [await created(engine, 100) for _ in range(3)]
    assert [u.state for u in uploads] == [State.RECEIVING, State.RECEIVING, State.WAITING]
    await engine.cancel(ALICE, uploads[0].id)
    await engine.advance()
    assert await state(engine, uploads[2]) is State.RECEIVING


async def test_a_disk_filled_by_other_programs_costs_no_upload_its_position(world: World) -> None:
    disk = Disk(world, 1000)
    engine, disk.full = world.engine(disk), True
    waiting = await created(engine, 100)
    assert waiting.state is State.WAITING
    assert world.leftovers() == []
    disk.full = False
    await engine.advance()
    assert await state(engine, waiting) is State.RECEIVING


async def test_a_file_that_does_not_fit_beside_finished_ones_holds_up_no_others(
    world: World,
) -> None:
    engine = world.engine(Disk(world, 1000, others=600))
    await engine.create(ALICE, Create("huge.mp4", 900))
    small, _ = await engine.create(BOB, Create("small.mp4", 10))
    assert small.state is State.RECEIVING


async def test_an_abandoned_and_a_large_upload_hold_up_no_others(
    world: World,
) -> None:
    engine = world.engine(Disk(world, 1000))
    abandoned, _ = await engine.create(ALICE, Create("gone.mp4", 610))
    await engine.write(ALICE, Write(abandoned.id, 0), Bytes(b"x"))
    world.now += world.settings.slot_idle
    large, _ = await engine.create(ALICE, Create("large.mp4", 800))
    for size in (200, 150, 30):
        small, _ = await engine.create(BOB, Create("small.mp4", size))
        assert small.state is State.RECEIVING
    assert await state(engine, large) is State.WAITING


async def test_an_upload_too_large_for_the_disk_holds_up_no_smaller_ones(world: World) -> None:
    """The disk reports free space, but refuses to reserve it."""

    class Refusing(Disk):
        def reserve(self, upload_id: str, length: int, suffix: str = "") -> None:
            if length > 100:
                raise DiskFull
            super().reserve(upload_id, length)

    engine = world.engine(Refusing(world, 10_000))
    large = [await created(engine, size) for size in (500, 101, 300)]
    small, _ = await engine.create(BOB, Create("small.mp4", 100))
    assert small.state is State.RECEIVING
    assert {await state(engine, upload) for upload in large} == {State.WAITING}


async def test_a_slot_longer_than_the_settings_allow_is_over(world: World) -> None:
    """The clock was set back, or `slot_idle` was made smaller."""
    world.settings = settings_in(world.settings.data, max_open=1)
    engine = world.engine()
    first = await created(engine, 100)
    await written(engine, first, 0, b"x" * 10)
    world.now -= 3600.0
    other, _ = await engine.create(BOB, Create("film.mp4", 100))
    assert other.state is State.RECEIVING
    await engine.cancel(BOB, other.id)
    await written(engine, first, 10, b"x" * 90)  # it asks for its slot again, and keeps it
    assert (await world.catalog.load(first.id)).slot_until <= world.now + world.settings.slot_idle
    assert (await engine.complete(ALICE, first.id)).is_complete()


async def test_a_disk_error_for_one_upload_stops_no_others(world: World) -> None:
    disk = Disk(world, 10_000)
    world.settings = settings_in(world.settings.data, max_open=1)
    engine = world.engine(disk)
    first, poison = [await created(engine, 10) for _ in range(2)]
    disk.broken = poison.id
    await engine.cancel(ALICE, first.id)
    other, _ = await engine.create(BOB, Create("film.mp4", 10))
    assert other.state is State.RECEIVING
    assert await state(engine, poison) is State.WAITING


async def test_what_a_dead_process_left_of_a_waiting_upload_is_removed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died after it had reserved the space, before the record; then the order changed."""
    monkeypatch.setattr("wherry.engine.admitting_at_once.LARGEST", 0)  # all enter the queue
    disk = Disk(world, 250)
    world.settings = settings_in(world.settings.data, max_open=2, max_open_per_owner=1)
    engine = world.engine(disk)
    one, _ = await engine.create(BOB, Create("1.mp4", 10))
    await engine.write(BOB, Write(one.id, 0), Bytes(b"x" * 10))
    world.now += 1
    bobs, _ = await engine.create(BOB, Create("2.mp4", 150))  # held up by Bob's own limit
    world.now += 1

    class Dying:
        def __getattr__(self, name: str) -> Any:
            if name == "advance":
                raise ZeroDivisionError
            return getattr(world.catalog, name)

    with pytest.raises(ZeroDivisionError):
        await world.engine(disk, Dying()).create(ALICE, Create("3.mp4", 150))
    [alices] = await engine.uploads(ALICE)
    assert world.keeps(alices.id)
    await engine.cancel(BOB, one.id)
    await world.engine(disk).advance()
    assert await state(engine, bobs) is State.RECEIVING
    await engine.cancel(BOB, bobs.id)
    await world.engine(disk).advance()
    assert await state(engine, alices) is State.RECEIVING
    await engine.write(ALICE, Write(alices.id, 0), Bytes(b"x" * 150))


async def test_two_processes_never_reserve_the_same_space(world: World) -> None:
    world.settings = settings_in(world.settings.data).model_copy(update={"min_free": 250})
    disk = Disk(world, 600)
    one, two = world.engine(disk), world.engine(disk)
    found = await asyncio.gather(
        *(engine.create(ALICE, Create("a.mp4", 100)) for engine in (one, two) * 10)
    )
    assert sum(upload.state is State.RECEIVING for upload, _ in found) == 3
    assert disk.space().free >= 250


async def test_while_one_process_admits_an_upload_no_other_touches_its_folder(world: World) -> None:
    """Otherwise a process that was stopped there would extend a finished file when it goes on."""
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Disk):
        def reserve(self, upload_id: str, length: int, suffix: str = "") -> None:
            begun.set()
            assert go_on.wait(60)
            super().reserve(upload_id, length)

    world.settings = settings_in(world.settings.data, max_open=1)
    slow, fast = world.engine(Slow(world, 1000)), world.engine()
    first, waiting = [await created(fast, 100) for _ in range(2)]
    await fast.cancel(ALICE, first.id)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(slow.advance)
        await anyio.to_thread.run_sync(begun.wait)
        tasks.start_soon(fast.advance)
        await anyio.sleep(0.2)
        assert await state(fast, waiting) is State.WAITING
        go_on.set()
    assert await state(fast, waiting) is State.RECEIVING


async def test_a_process_that_is_stuck_there_makes_others_wait_but_not_hang(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.engine.admitting.TIMEOUT", 0.1)
    world.settings = settings_in(world.settings.data, max_open=1)
    stuck = world.locks.take("line")
    assert stuck is not None
    engine = world.engine()
    first = await created(engine, 100)
    with stuck:
        waiting = await created(engine, 100)
        await engine.cancel(ALICE, first.id)
        await engine.advance()
        assert await state(engine, waiting) is State.WAITING
    await engine.advance()
    assert await state(engine, waiting) is State.RECEIVING


async def test_cancelling_while_it_is_admitted_leaves_nothing_and_affects_no_others(
    world: World,
) -> None:
    world.settings = settings_in(world.settings.data, max_open=1)
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Disk):
        def reserve(self, upload_id: str, length: int, suffix: str = "") -> None:
            begun.set()
            assert go_on.wait(60)
            super().reserve(upload_id, length)

    engine = world.engine()
    first, mine = [await created(engine, 10) for _ in range(2)]
    await engine.cancel(ALICE, first.id)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.engine(Slow(world, 1000)).advance)
        await anyio.to_thread.run_sync(begun.wait)
        tasks.start_soon(engine.cancel, ALICE, mine.id)
        await anyio.sleep(0.1)
        go_on.set()
    assert await state(engine, mine) is State.CANCELLED
    assert not world.keeps(mine.id)


async def test_an_open_request_keeps_its_slot_however_slow_it_is(world: World) -> None:
    world.settings = settings_in(world.settings.data, max_open=1)
    engine = world.engine()
    slow = await created(engine, 200)
    body = Held(b"x" * 100)
    async with anyio.create_task_group() as tasks, engine.running():
        tasks.start_soon(engine.write, ALICE, Write(slow.id, 0), body)
        await body.begun.wait()
        other, _ = await engine.create(BOB, Create("film.mp4", 10))
        with anyio.fail_after(60):  # it gets a lease when it lasts, long before a slot ends
            while not (await world.catalog.load(slow.id)).leases:
                await anyio.sleep(0.05)
        for _ in range(3):
            before = (await world.catalog.load(slow.id)).slot_until
            world.now += world.settings.slot_idle / 2
            with anyio.fail_after(60):
                while (await world.catalog.load(slow.id)).slot_until == before:
                    await anyio.sleep(0.05)
        body.let_go.set()
    assert await state(engine, other) is State.WAITING
    await written(engine, slow, 100, b"x" * 100)


async def test_a_cancelled_ordinary_upload_leaves_nothing_in_the_queue(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.engine.admitting_at_once.LARGEST", 0)  # it enters the queue
    recorded = asyncio.Event()

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.catalog, name)

        async def create(self, upload: Upload) -> Upload:
            found = await world.catalog.create(upload)
            recorded.set()
            await asyncio.sleep(20)
            return found

    engine = world.engine(catalog=Late())
    task = asyncio.create_task(engine.receive(ALICE, Create("f.mp4", 100), Bytes(b"x" * 100)))
    await recorded.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await world.catalog.queue(world.now)).entries == ()
