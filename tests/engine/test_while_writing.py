"""Bytes on their way are activity, and whoever sends them is told at once when it is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest
from tests.engine.conftest import ALICE, Bytes, Held, World, created, settings_in, written

from wherry.core import facts as rules
from wherry.core.errors import TooFragmented, UploadError, UploadGone
from wherry.core.limits import MiB
from wherry.core.requests import Write
from wherry.core.upload import State, Upload
from wherry.engine import Engine

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("route")]

DATA = b"x" * 1000
LARGE = 6 * MiB  #: More than one part of an object store.
LONG = 60.0  #: Seconds after which a test has failed, however busy the machine is.


async def told(
    engine: Engine, upload: Upload, body: Held, ends: Callable[[], Awaitable[object]]
) -> UploadError:
    """What a request that is writing is told when `ends` has ended its upload."""
    outcome: list[UploadError] = []

    async def writing() -> None:
        try:
            await engine.write(ALICE, Write(upload.id, 0), body)
        except UploadError as error:
            outcome.append(error)

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(writing)
            await body.begun.wait()
            await ends()
    return outcome[0]


async def test_who_writes_is_told_that_the_upload_was_cancelled(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    answer = await told(engine, upload, Held(DATA), lambda: engine.cancel(ALICE, upload.id))
    assert answer == UploadGone("cancelled")


async def test_who_writes_in_another_process_is_told_that_it_was_cancelled(world: World) -> None:
    engine, other = world.engine(), world.engine()
    upload = await created(engine, len(DATA))
    async with engine.running():
        answer = await told(engine, upload, Held(DATA), lambda: other.cancel(ALICE, upload.id))
    assert answer == UploadGone("cancelled")


async def test_who_writes_is_told_that_the_upload_has_expired(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))

    async def expire() -> None:
        # Nothing runs beside the requests here, so nobody has recorded that bytes come.
        world.now += world.settings.slot_idle + world.settings.expires_after
        assert [swept.action for swept in await engine.sweep()] == ["expire"]

    assert await told(engine, upload, Held(DATA), expire) == UploadGone("expired")


async def test_who_writes_is_told_that_the_folder_was_removed(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    await written(engine, upload, 900, DATA[900:])

    async def remove() -> None:
        world.lose(upload.id)
        await engine.status(ALICE, upload.id)

    answer = await told(engine, upload, Held(DATA[:900]), remove)
    assert answer == UploadGone("expired", "its folder was removed")


async def test_who_writes_is_told_of_the_removal_though_nobody_asks_for_the_state(
    world: World,
) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))

    async def remove() -> None:
        world.lose(upload.id)

    async with engine.running():
        answer = await told(engine, upload, Held(DATA), remove)
    assert answer == UploadGone("expired", "its folder was removed")


async def test_bytes_written_into_a_removed_folder_are_not_acknowledged(world: World) -> None:
    engine = world.engine()
    # A store makes a small file the finished object at once, whatever became of the upload.
    upload = await created(engine, LARGE)
    body = Held(DATA)

    async def remove() -> None:
        world.lose(upload.id)
        body.let_go.set()

    assert (await told(engine, upload, body, remove)).code == "upload-gone"
    assert (await engine.status(ALICE, upload.id)).state is State.EXPIRED


async def test_an_upload_does_not_expire_while_its_bytes_arrive(world: World) -> None:
    world.settings = settings_in(world.settings.data, expires_after=100.0)
    engine = world.engine()
    upload = await created(engine, len(DATA))
    body = Held(DATA)
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group, engine.running():
            group.start_soon(engine.write, ALICE, Write(upload.id, 0), body)
            await body.begun.wait()
            for _ in range(5):
                world.now += 50.0
                while (await world.catalog.load(upload.id)).active_at < world.now:
                    await anyio.sleep(0.02)
                assert await engine.sweep() == []
            body.let_go.set()
    assert (await engine.complete(ALICE, upload.id)).is_complete()


async def test_requests_that_begin_together_leave_no_more_parts_than_an_upload_may_have(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_PARTS", 3)
    engine = world.engine()
    upload = await created(engine, len(DATA))
    bodies = {start: Held(b"x" * 10) for start in range(0, 200, 20)}
    refused: list[int] = []

    async def write(start: int) -> None:
        try:
            await engine.write(ALICE, Write(upload.id, start), bodies[start])
        except TooFragmented:
            refused.append(start)

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            for start, body in bodies.items():
                group.start_soon(write, start)
                await body.begun.wait()
            for body in bodies.values():
                body.let_go.set()
    after = await engine.status(ALICE, upload.id)
    assert (len(after.received.parts), len(refused), after.leases) == (3, 7, ())
    # What is refused is not lost for good: from the front, every byte still fits.
    whole = await engine.write(ALICE, Write(upload.id, 0), Bytes(DATA))
    assert whole.offset == len(DATA)
