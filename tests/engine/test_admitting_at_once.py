"""A new upload is admitted as it arrives, in one trip, and only if the queue would choose it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.engine.conftest import ALICE, World, content, created, new_world, settings_in, written

from wherry.core.errors import DiskFull, NeverFits, UploadError
from wherry.core.requests import Caller, Create
from wherry.core.upload import State
from wherry.storage import Capabilities
from wherry.testing.faults import crash_points

pytestmark = pytest.mark.anyio

BOB = Caller("bob")


class Spy:
    """Counts the calls of `thing`, and has some things of its own."""

    def __init__(self, thing: Any, **own: Any) -> None:
        self.called: list[str] = []
        self._thing, self._own = thing, own

    def __getattr__(self, name: str) -> Any:
        found = self._own.get(name) or getattr(self._thing, name)
        if not callable(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            self.called.append(name)
            return found(*args, **options)

        return call


def folders(world: World) -> list[str]:
    return sorted(found for found, _ in world.storage.unfinished())


async def test_a_new_upload_is_one_reservation_and_one_change(world: World) -> None:
    storage, catalog = Spy(world.storage), Spy(world.catalog)
    engine = world.engine(storage, catalog)
    upload = await created(engine, 1000)
    assert catalog.called == ["submit_create"]
    assert storage.called == ["space", "reserve", "space"]
    assert (upload.state, upload.queued_at) == (State.RECEIVING, None)
    assert upload.slot_until == world.now + world.settings.turn
    assert world.unfinished(upload.id).stat().st_size == 1000
    await written(engine, upload, 0, b"x" * 1000)
    await engine.complete(ALICE, upload.id)
    assert await content(engine, upload.id) == b"x" * 1000


async def test_the_same_file_again_is_the_open_upload_and_takes_no_space(world: World) -> None:
    engine = world.engine()
    first = await created(engine, 1000, fingerprint="f")
    for _ in range(2):
        again, is_new = await engine.create(ALICE, Create("film.mp4", 1000, fingerprint="f"))
        assert (again.id, is_new) == (first.id, False)
    assert folders(world) == [first.id]
    others = await created(engine, 1000, fingerprint="g")
    assert folders(world) == sorted([first.id, others.id])


async def test_what_has_to_wait_leaves_no_reservation_and_is_not_tried_again_at_once(
    world: World,
) -> None:
    world.settings = settings_in(world.settings.data, max_open=1)
    storage = Spy(world.storage)
    engine = world.engine(storage)
    first = await created(engine, 10)
    storage.called.clear()
    for number in (1, 2):
        waiting, _ = await engine.create(BOB, Create("film.mp4", 10))
        assert waiting.state is State.WAITING
        _, position = await engine.with_position(waiting)
        assert position == number
    assert folders(world) == [first.id]
    assert storage.called.count("reserve") == 1


async def test_no_newcomer_passes_one_that_waits_for_the_space(world: World) -> None:
    """The large one will fit when others end, and this is its time to hold up others."""
    world.now = 120.0 * 60 * 64
    space = world.storage.space()
    world.settings = settings_in(world.settings.data, max_reserved=1000)
    engine = world.engine()
    open_one, _ = await engine.create(BOB, Create("film.mp4", 600))
    large = await created(engine, 900)
    assert large.state is State.WAITING
    for process in (engine, world.engine()):  # the second one does not know that one waits
        small, _ = await process.create(Caller("carol"), Create("film.mp4", 400))
        assert small.state is State.WAITING
    assert folders(world) == [open_one.id]
    assert space is None or space.free


async def test_a_disk_that_is_full_at_this_moment_is_for_the_queue(world: World) -> None:
    def full(*_: object) -> None:
        raise DiskFull

    waiting = await created(world.engine(Spy(world.storage, reserve=full)), 10)
    assert waiting.state is State.WAITING
    assert folders(world) == []
    await world.engine().advance()
    assert (await world.catalog.load(waiting.id)).state is State.RECEIVING


async def test_what_never_fits_is_refused_and_leaves_nothing(world: World) -> None:
    world.settings = settings_in(world.settings.data, max_reserved=100)
    with pytest.raises(NeverFits):
        await created(world.engine(), 101)
    assert folders(world) == []
    assert list(await world.catalog.uploads()) == []


@pytest.mark.disk_only
async def test_a_storage_that_cannot_reserve_leaves_it_to_the_queue(world: World) -> None:
    able = Capabilities(reserves=False, locks_ranges=True, durable=True)
    catalog = Spy(world.catalog)
    engine = world.engine(Spy(world.storage, capabilities=able), catalog)
    assert (await created(engine, 10)).state is State.RECEIVING
    assert "submit_create" not in catalog.called


async def test_a_catalog_that_fails_keeps_no_reservation(world: World) -> None:
    def fails(*_: object) -> None:
        raise DiskFull

    with pytest.raises(DiskFull):
        await created(world.engine(catalog=Spy(world.catalog, submit_create=fails)), 10)
    assert folders(world) == []


async def test_many_processes_at_once_keep_every_limit(world: World) -> None:
    world.settings = settings_in(world.settings.data, max_open=5, max_open_per_owner=3)
    engines = [world.engine() for _ in range(4)]
    callers = [ALICE, BOB, Caller("carol")]
    created = await asyncio.gather(
        *(
            engine.create(caller, Create("film.mp4", 10))
            for engine in engines
            for caller in callers * 2
        )
    )
    await engines[0].advance()
    found = [await world.catalog.load(upload.id) for upload, _ in created]
    opened = [upload.owner for upload in found if upload.state is State.RECEIVING]
    assert len(opened) == 5
    assert max(opened.count(caller.owner) for caller in callers) <= 3
    assert len(folders(world)) == 5


async def test_an_init_that_dies_leaves_nothing_that_the_sweep_does_not_find(
    tmp_path: Path,
) -> None:
    points = 0
    for point in crash_points():
        world = new_world(tmp_path / str(point.at))
        with point:
            engine = world.engine(point.wrap(world.storage), point.wrap(world.catalog))
            await created(engine, 1000, fingerprint="f")
        await world.until_decided()
        world.restart()
        again = await created(world.engine(), 1000, fingerprint="f")
        assert again.state is State.RECEIVING
        await written(world.engine(), again, 0, b"x" * 1000)
        await world.engine().complete(ALICE, again.id)
        world.age()
        await world.engine().sweep()
        assert world.leftovers() == [], f"at {point}"
        assert await content(world.engine(), again.id) == b"x" * 1000
        assert len(list(await world.catalog.uploads())) == 1
        await world.close()
        points += 1
    assert points > 6


async def test_an_upload_whose_reservation_a_power_loss_undid_is_gone_and_can_be_begun_again(
    world: World,
) -> None:
    """`reserve` syncs nothing: the record may be there without the folder, but no byte is."""
    upload = await created(world.engine(), 10, fingerprint="f")
    world.storage.delete(upload.id)
    engine = world.engine()
    assert (await engine.status(ALICE, upload.id)).offset == 0
    with pytest.raises(UploadError) as gone:
        await written(engine, upload, 0, b"x" * 10)
    assert gone.value.code == "upload-gone"
    again = await created(engine, 10, fingerprint="f")
    assert again.id != upload.id
    await written(engine, again, 0, b"x" * 10)
    await engine.complete(ALICE, again.id)
    assert await content(engine, again.id) == b"x" * 10
