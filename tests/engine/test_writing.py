"""Who may write where: the newest request, once, and only into gaps."""

from __future__ import annotations

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest
from tests.engine.conftest import ALICE, Bytes, Held, World, content, created, written

from wherry.body import Ended, First, Sink
from wherry.core.digests import Digest, crc64
from wherry.core.errors import (
    BodyCut,
    DigestMismatch,
    Stopping,
    Superseded,
    UploadGone,
    UploadNotFound,
)
from wherry.core.ranges import Range
from wherry.core.requests import Caller, Write
from wherry.engine.writing import RECORD_EVERY

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("route")]

DATA = bytes(range(250)) * 4


class Cut(Bytes):
    """A client that goes away after `after` bytes."""

    def __init__(self, data: bytes, after: int) -> None:
        super().__init__(data)
        self._left = after

    async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
        await super().pour(sink, 0, first)
        give = min(limit, self._left)
        self._left -= give
        if give:
            await super().pour(sink, give)
        if not self._left:
            self._data = memoryview(b"")
            return Ended.CUT
        return Ended.WHOLE


async def test_a_newer_request_for_a_range_ends_the_older_one(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    held, outcome = Held(b"\xff" * 600), list[str]()

    async def older() -> None:
        try:
            await engine.write(ALICE, Write(upload.id, 0), held)
        except Superseded as error:
            outcome.append(error.code)

    async with anyio.create_task_group() as group:
        group.start_soon(older)
        await held.begun.wait()
        with anyio.fail_after(60):
            await written(engine, upload, 300, DATA[300:])
            await written(engine, upload, 0, DATA[:300])
    assert outcome == ["superseded"]
    await engine.complete(ALICE, upload.id)
    assert await content(engine, upload.id) == DATA


async def test_requests_for_different_ranges_do_not_disturb_each_other(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    held = Held(DATA[:500])
    async with anyio.create_task_group() as group:
        group.start_soon(engine.write, ALICE, Write(upload.id, 0), held)
        await held.begun.wait()
        await written(engine, upload, 500, DATA[500:])
        held.let_go.set()
    await engine.complete(ALICE, upload.id)
    assert await content(engine, upload.id) == DATA


async def test_a_request_whose_range_another_process_took_is_ended(world: World) -> None:
    one, other = world.engine(), world.engine()
    upload = await created(one, len(DATA))
    held, outcome = Held(b"\xff" * len(DATA)), list[str]()

    async def older() -> None:
        try:
            await one.write(ALICE, Write(upload.id, 0), held)
        except Superseded as error:
            outcome.append(error.code)

    async with one.running(), anyio.create_task_group() as group:
        group.start_soon(older)
        await held.begun.wait()
        with anyio.fail_after(8):
            await written(other, upload, 0, DATA)
    assert outcome == ["superseded"]
    await other.complete(ALICE, upload.id)
    assert await content(other, upload.id) == DATA


async def test_asking_for_the_state_never_waits_for_a_request_that_writes(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    held = Held(DATA)
    async with anyio.create_task_group() as group:
        group.start_soon(engine.write, ALICE, Write(upload.id, 0), held)
        await held.begun.wait()
        with anyio.fail_after(2):
            assert (await engine.status(ALICE, upload.id)).offset == 0
        held.let_go.set()
    assert (await engine.status(ALICE, upload.id)).offset == len(DATA)


async def test_cancelling_ends_a_request_that_writes(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    held, outcome = Held(DATA), list[BaseException]()

    async def writing() -> None:
        try:
            await engine.write(ALICE, Write(upload.id, 0), held)
        except UploadGone as error:
            outcome.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(writing)
        await held.begun.wait()
        with anyio.fail_after(60):
            await engine.cancel(ALICE, upload.id)
    assert outcome == [UploadGone("cancelled")]
    assert world.leftovers() == []


async def test_a_part_cut_off_keeps_what_arrived(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    with pytest.raises(BodyCut) as cut:
        await engine.write(ALICE, Write(upload.id, 0), Cut(DATA, 400))
    assert (cut.value.received, cut.value.announced) == (400, len(DATA))
    assert (await engine.status(ALICE, upload.id)).offset == 400


@pytest.mark.parametrize(("has_digest", "kept"), [(False, 500), (True, 0)])
async def test_a_server_that_stops_records_what_has_arrived_unless_it_came_with_a_digest(
    world: World, has_digest: bool, kept: int
) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    digest = Digest.of_crc(1) if has_digest else None
    held, refused = Held(DATA), list[str]()

    async def writing() -> None:
        try:
            await engine.write(ALICE, Write(upload.id, 0, digest=digest), held)
        except Stopping as error:
            refused.append(error.code)

    async with anyio.create_task_group() as group:
        group.start_soon(writing)
        await held.begun.wait()
        with anyio.fail_after(60):
            await engine._writing.end_all()
    assert refused == ["stopping"]
    after = await engine.status(ALICE, upload.id)
    assert (after.offset, after.leases) == (kept, ())
    await written(engine, upload, 0, DATA)
    await engine.complete(ALICE, upload.id)
    assert await content(engine, upload.id) == DATA


async def test_a_server_that_stops_lets_a_newer_request_have_its_range(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    held, refused = Held(b"\xff" * 600), list[str]()

    async def older() -> None:
        try:
            await engine.write(ALICE, Write(upload.id, 0), held)
        except (Stopping, Superseded) as error:
            refused.append(error.code)

    async with anyio.create_task_group() as group:
        group.start_soon(older)
        await held.begun.wait()
        with anyio.fail_after(60):
            group.start_soon(engine._writing.end_all)
            await anyio.lowlevel.checkpoint()  # it ends the requests that are there by now
            await written(engine, upload, 0, DATA)
    assert len(refused) == 1
    # Each byte is from one of the two, and is the one whose digest is recorded.
    complete = await engine.complete(ALICE, upload.id)
    stored = await content(engine, upload.id)
    assert stored in (DATA, b"\xff" * 300 + DATA[300:])
    assert complete.received_digest == Digest.of_crc(crc64(stored))


async def test_a_part_cut_off_with_a_digest_keeps_nothing(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    digest = Digest.of_crc(1)
    with pytest.raises(BodyCut):
        await engine.write(ALICE, Write(upload.id, 0, digest=digest), Cut(DATA, 400))
    with pytest.raises(DigestMismatch):
        await engine.write(ALICE, Write(upload.id, 0, digest=digest), Bytes(DATA))
    after = await engine.status(ALICE, upload.id)
    assert (after.offset, after.leases) == (0, ())


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [(0.0, [1000] * 9), (1e9, [1000, 4000, 4000])],
    ids=["slow", "fast"],
)
async def test_the_rounds_of_a_fast_client_are_longer_within_bounds(
    world: World, monkeypatch: pytest.MonkeyPatch, seconds: float, rounds: list[int]
) -> None:
    """`seconds`: what counts as fast, so that every client is slow, or fast."""
    for name, value in [("EVERY", 1000), ("MOST", 4000), ("SECONDS", seconds)]:
        monkeypatch.setattr(f"wherry.engine.writing.RECORD_{name}", value)
    limits = list[int]()

    class Long(Bytes):
        async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
            await super().pour(sink, 0, first)
            limits.append(limit)
            return await super().pour(sink, limit)

    engine = world.engine()
    upload = await created(engine, 9000)
    await engine.write(ALICE, Write(upload.id, 0), Long(bytes(9000)))
    assert limits == rounds
    assert (await engine.status(ALICE, upload.id)).offset == 9000


async def test_a_request_that_fails_gives_its_range_back(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))

    class Broken(Bytes):
        async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
            await super().pour(sink, 0, first)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await engine.write(ALICE, Write(upload.id, 0), Broken(DATA))
    assert (await engine.status(ALICE, upload.id)).leases == ()
    await written(engine, upload, 0, DATA)


@pytest.mark.disk_only
async def test_a_lock_that_another_process_holds_is_waited_for(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            with world.storage.open(upload.id, Range(0, 10)):
                group.start_soon(written, engine, upload, 0, DATA)
                await anyio.sleep(0.2)
                assert (await engine.status(ALICE, upload.id)).offset == 0
    assert (await engine.status(ALICE, upload.id)).offset == len(DATA)


async def test_the_rest_of_a_long_chunk_may_be_shorter_than_a_chunk(world: World) -> None:
    settings = world.settings.model_copy(update={"min_chunk": 1000})
    engine = World(world.storage, world.catalog, settings, world.now, world.ids).engine()
    upload = await created(engine, 2 * RECORD_EVERY)
    await written(engine, upload, 0, bytes(RECORD_EVERY + 10))
    assert (await engine.status(ALICE, upload.id)).offset == RECORD_EVERY + 10


async def test_a_foreign_request_ends_nobody_elses(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    held = Held(DATA)
    async with anyio.create_task_group() as group:
        group.start_soon(engine.write, ALICE, Write(upload.id, 0), held)
        await held.begun.wait()
        with pytest.raises(UploadNotFound):
            await engine.write(Caller("bob"), Write(upload.id, 0), Bytes(DATA))
        held.let_go.set()
    assert (await engine.status(ALICE, upload.id)).offset == len(DATA)
