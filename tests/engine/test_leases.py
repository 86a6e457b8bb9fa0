"""Requests that begin without a lease, and the one that they get if they last."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

import anyio
import anyio.to_thread
import pytest
from tests.engine.conftest import (
    ALICE,
    Bytes,
    Gathered,
    Held,
    World,
    created,
    in_background,
    settings_in,
    written,
)

from wherry.body import Ended, First, Sink
from wherry.catalog import Change
from wherry.core.digests import Digest
from wherry.core.errors import (
    DigestMismatch,
    Superseded,
    TypeRefused,
    UploadError,
    UploadGone,
    UploadNotFound,
)
from wherry.core.ranges import Range
from wherry.core.requests import Caller, Write
from wherry.core.upload import State, Upload
from wherry.storage import RangeLocked
from wherry.storage.local import LocalStorage

pytestmark = pytest.mark.anyio

DATA = bytes(range(250)) * 4
LONG = 60.0  #: Seconds after which a test has failed, however busy the machine is.


class Counting:
    """The catalog, with a count of the changes that it is asked for."""

    def __init__(self, catalog: object) -> None:
        self._catalog = catalog
        self.changes = 0

    def __getattr__(self, name: str) -> object:
        self.changes += name in ("update", "submit_update", "create", "advance")
        return getattr(self._catalog, name)


@pytest.mark.parametrize("body", [Bytes, Gathered])
@pytest.mark.disk_only
async def test_a_chunk_is_one_change_of_the_catalog(world: World, body: type[Bytes]) -> None:
    counting = Counting(world.catalog)
    engine = world.engine(catalog=counting)  # type: ignore[arg-type]
    upload = await created(engine, len(DATA))
    before = counting.changes
    await engine.write(ALICE, Write(upload.id, 0), body(DATA))
    assert counting.changes - before == 1


@pytest.mark.disk_only
async def test_a_request_that_lasts_gets_a_lease_and_its_record_ends_it(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    held, told = Held(DATA), list[str]()
    with anyio.fail_after(LONG):
        async with engine.running(), anyio.create_task_group() as group:
            group.start_soon(in_background, engine, upload, held, told)
            await held.begun.wait()
            assert (await world.catalog.load(upload.id)).leases == ()
            while not (await world.catalog.load(upload.id)).leases:
                await anyio.sleep(0.02)
            held.let_go.set()
    after = await world.catalog.load(upload.id)
    assert (told, after.offset, after.leases) == (["recorded"], len(DATA), ())


async def test_a_request_that_fails_gives_back_the_lease_it_got_late(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    begun, fail = anyio.Event(), anyio.Event()

    class Broken(Bytes):
        async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
            await super().pour(sink, 0, first)
            begun.set()
            await fail.wait()
            raise OSError("the connection is broken")

    told = list[str]()
    with anyio.fail_after(LONG):
        async with engine.running(), anyio.create_task_group() as group:
            group.start_soon(in_background, engine, upload, Broken(DATA), told)
            await begun.wait()
            while not (await world.catalog.load(upload.id)).leases:
                await anyio.sleep(0.02)
            fail.set()
    assert told == ["storage-failed"]
    assert (await world.catalog.load(upload.id)).leases == ()


@pytest.mark.parametrize("body", [Bytes, Gathered])
@pytest.mark.disk_only
async def test_the_lock_ends_with_the_record_and_not_before(
    world: World, body: type[Bytes]
) -> None:
    """Otherwise the next request would find a gap, and write over what is recorded meanwhile."""
    upload = await created(world.engine(), len(DATA))
    locked: list[bool] = []

    def is_locked() -> bool:
        try:
            with world.storage.open(upload.id, Range(0, 10)):
                return False
        except RangeLocked:
            return True

    class Slow(Counting):
        """It is busy with other records before it comes to this one."""

        def submit_update(self, upload_id: str, change: Change) -> Future[Upload]:
            def late(before: Upload) -> Upload:
                time.sleep(0.05)
                locked.append(is_locked())
                return change(before)

            return world.catalog.submit_update(upload_id, late)

    engine = world.engine(catalog=Slow(world.catalog))  # type: ignore[arg-type]
    await engine.write(ALICE, Write(upload.id, 0), body(DATA))
    assert (locked, is_locked()) == ([True], False)


async def test_an_older_request_elsewhere_with_a_lease_is_superseded(world: World) -> None:
    """Its lease may also be left of a process that died."""
    engine = world.engine()
    upload = await created(engine, len(DATA))
    await world.catalog.update(upload.id, lambda u: u.lease(Range(0, 500), "dead", world.now))
    after = await engine.write(ALICE, Write(upload.id, 0), Gathered(DATA))
    assert (after.offset, after.leases) == (len(DATA), ())


async def test_a_request_near_the_end_of_the_turn_has_a_lease_and_forfeits_nothing(
    world: World,
) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    world.now = upload.slot_until - 5
    held, told = Held(DATA), list[str]()
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(in_background, engine, upload, held, told)
            await held.begun.wait()
            [lease] = (await world.catalog.load(upload.id)).leases
            assert lease.range == Range(0, len(DATA))
            world.now = upload.slot_until + 1
            await world.catalog.update(upload.id, lambda u: u.forfeit(world.now))
            held.let_go.set()
    assert told == ["recorded"]


async def test_a_request_near_the_expiry_of_its_upload_has_a_lease(world: World) -> None:
    world.settings = settings_in(world.settings.data, expires_after=65.0, slot_idle=120.0)
    engine = world.engine()
    upload = await created(engine, len(DATA))
    await written(engine, upload, 900, DATA[900:])
    world.now += 57
    held, told = Held(DATA[:900]), list[str]()
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(in_background, engine, upload, held, told)
            await held.begun.wait()
            assert len((await world.catalog.load(upload.id)).leases) == 1
            held.let_go.set()
    assert told == ["recorded"]


@pytest.mark.disk_only
async def test_where_ranges_cannot_be_locked_every_request_has_a_lease(world: World) -> None:
    assert isinstance(world.storage, LocalStorage)
    world.storage._capabilities = replace(world.storage.capabilities, locks_ranges=False)
    one, other = world.engine(), world.engine()
    upload = await created(one, len(DATA))
    held, told = Held(b"\xff" * len(DATA)), list[str]()
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(in_background, one, upload, held, told)
            await held.begun.wait()
            # The newer one is over, with its lease, when the older one records.
            await other.write(ALICE, Write(upload.id, 0), Gathered(DATA))
            held.let_go.set()
    assert told == ["superseded"]
    assert (await world.catalog.load(upload.id)).received.size == len(DATA)


async def test_a_gathered_body_is_ended_with_its_upload(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    begun, told = anyio.Event(), list[str]()

    class Begun(Gathered):
        async def gather(self, most: int) -> tuple[memoryview, ...]:
            begun.set()
            while (await world.catalog.load(upload.id)).state is not State.CANCELLED:
                await anyio.sleep(0.01)
            return (self._data,)

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(in_background, engine, upload, Begun(DATA), told)
            await begun.wait()
            await engine.cancel(ALICE, upload.id)
    assert told == ["upload-gone"]


async def test_a_small_chunk_that_is_recorded_while_the_server_stops_is_recorded_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.engine()
    upload = await created(engine, 2 * len(DATA))
    submit, asked, go_on = world.catalog.submit_update, threading.Event(), threading.Event()

    def slowly(upload_id: str, change: Change) -> Future[Upload]:
        def record(before: Upload) -> Upload:
            asked.set()
            assert go_on.wait(LONG)
            return change(before)

        return submit(upload_id, record)

    monkeypatch.setattr(world.catalog, "submit_update", slowly)
    told: list[str] = []
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(in_background, engine, upload, Gathered(DATA), told)
            assert await anyio.to_thread.run_sync(asked.wait, LONG)
            group.start_soon(engine._writing.end_all)
            await anyio.sleep(0.05)  # it cancels the request, which waits for its record
            go_on.set()
    assert told == ["recorded"]
    received = (await world.catalog.load(upload.id)).received
    assert [(part.start, part.end) for part in received.parts] == [(0, len(DATA))]


class Slow(Gathered):
    """A small body whose client takes its time."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.let_go = anyio.Event()

    async def gather(self, most: int) -> Sequence[memoryview] | None:
        await self.let_go.wait()
        return await super().gather(most)


async def test_a_small_body_that_comes_slowly_gets_a_lease(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    slow, told = Slow(DATA), list[str]()
    with anyio.fail_after(LONG):
        async with engine.running(), anyio.create_task_group() as group:
            group.start_soon(in_background, engine, upload, slow, told)
            while not (await world.catalog.load(upload.id)).leases:
                await anyio.sleep(0.02)
            slow.let_go.set()
    after = await world.catalog.load(upload.id)
    assert (told, after.offset, after.leases) == (["recorded"], len(DATA), ())


async def test_a_small_body_is_refused_before_it_has_come(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    with anyio.fail_after(LONG), pytest.raises(UploadNotFound):
        await engine.write(Caller("bob"), Write(upload.id, 0), Slow(DATA))


async def test_a_newer_request_ends_an_older_one_whose_small_body_comes_slowly(
    world: World,
) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    told = list[str]()
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(in_background, engine, upload, Slow(b"\xff" * len(DATA)), told)
            await anyio.wait_all_tasks_blocked()
            await written(engine, upload, 0, DATA)
    assert told == ["superseded"]
    assert (await world.catalog.load(upload.id)).offset == len(DATA)


@pytest.mark.usefixtures("route")
async def test_every_route_refuses_the_same(world: World) -> None:
    changes = {"min_chunk": 100, "allowed_types": ("video/*",)}
    world.settings = world.settings.model_copy(update=changes)
    engine = world.engine()
    upload = await created(engine, len(DATA))

    async def told(upload_id: str, at: int, data: bytes, caller: Caller = ALICE) -> str:
        with pytest.raises(UploadError) as refused:
            await engine.write(caller, Write(upload_id, at), Bytes(data))
        return refused.value.code

    assert await told("f" * 32, 0, DATA) == "upload-not-found"
    assert await told("../etc", 0, DATA) == "upload-not-found"
    assert await told(upload.id, 0, DATA, Caller("bob")) == "upload-not-found"
    assert await told(upload.id, 1, DATA) == "range-outside"
    assert await told(upload.id, 0, DATA[:10]) == "chunk-below-minimum"
    write = Write(upload.id, 500, digest=Digest.of_crc(1))
    with pytest.raises(DigestMismatch):
        await engine.write(ALICE, write, Bytes(DATA[500:]))
    assert (await engine.status(ALICE, upload.id)).received.size == 0
    with pytest.raises(TypeRefused):
        await written(engine, upload, 0, DATA)
    assert await told(upload.id, 0, DATA) == "upload-gone"
    assert (await world.catalog.load(upload.id)).state is State.FAILED


async def test_a_foreign_request_for_a_removed_folder_is_told_nothing(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    world.storage.delete(upload.id)
    with pytest.raises(UploadNotFound):
        await engine.write(Caller("bob"), Write(upload.id, 0), Gathered(DATA))
    assert (await world.catalog.load(upload.id)).state is State.RECEIVING
    with pytest.raises(UploadGone):
        await engine.write(ALICE, Write(upload.id, 0), Gathered(DATA))


async def test_a_newer_request_ends_an_older_one_that_still_opens_its_range(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    told = list[str]()
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            for _ in range(4):  # all at once, and the last is the newest
                group.start_soon(in_background, engine, upload, Bytes(DATA), told)
    assert told.count("recorded") >= 1
    assert set(told) <= {"recorded", Superseded().code}
    after = await world.catalog.load(upload.id)
    assert (after.offset, after.leases) == (len(DATA), ())
