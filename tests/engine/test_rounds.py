"""The rounds of a long body: one is synced while the next one comes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from tests.engine.conftest import ALICE, Bytes, World, created, written

from wherry.body import Ended, First, Sink
from wherry.core.errors import Stopping, StorageFailed, Superseded, UploadGone
from wherry.core.facts import UploadFacts
from wherry.core.ranges import Range
from wherry.core.requests import Write
from wherry.core.upload import Upload
from wherry.engine import Engine
from wherry.storage.s3.writer import S3Writer
from wherry.storage.writer import LocalWriter

pytestmark = pytest.mark.anyio

ROUND = 500
DATA = bytes(range(250)) * 6
TIMEOUT = 120.0


@pytest.fixture(autouse=True, params=[False, True], ids=["locked", "leased"])
def short_rounds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an object store, every round has a lease."""
    for name in ("EVERY", "MOST"):
        monkeypatch.setattr(f"wherry.engine.writing.RECORD_{name}", ROUND)
    if request.param:
        monkeypatch.setattr(UploadFacts, "needs_no_lease", lambda *_: False)


class Long(Bytes):
    """A body of three rounds. It sets `second` as its second round begins."""

    def __init__(self, data: bytes = DATA) -> None:
        super().__init__(data)
        self.second = threading.Event()

    async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
        await super().pour(sink, 0, first)
        if self.remaining <= len(DATA) - ROUND:
            self.second.set()
            await self.wait()
        return await super().pour(sink, limit)

    async def wait(self) -> None:
        """What its client does before it sends the second round."""


class Silent(Long):
    """Its client never sends the second round."""

    async def wait(self) -> None:
        await anyio.sleep_forever()


def before_first_sync(monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]) -> None:
    is_first = True

    def patch(kind: type[LocalWriter] | type[S3Writer]) -> None:
        real: Callable[[Any], None] = kind.sync

        def sync(self: object) -> None:
            nonlocal is_first
            if is_first:
                is_first = False
                call()
            real(self)

        monkeypatch.setattr(kind, "sync", sync)

    patch(LocalWriter)
    patch(S3Writer)


async def in_second_round(engine: Engine, upload: Upload) -> asyncio.Task[Upload]:
    """A request whose second round has begun, and whose client is silent."""
    body = Silent()
    task = asyncio.ensure_future(engine.write(ALICE, Write(upload.id, 0), body))
    assert await asyncio.to_thread(body.second.wait, TIMEOUT)
    return task


async def offset(engine: Engine, upload_id: str) -> int:
    return (await engine.status(ALICE, upload_id)).offset


async def test_the_next_bytes_come_while_a_round_is_synced(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, body = world.engine(), Long()
    upload = await created(engine, len(DATA))
    came: list[bool] = []
    before_first_sync(monkeypatch, lambda: came.append(body.second.wait(TIMEOUT)))
    after = await engine.write(ALICE, Write(upload.id, 0), body)
    assert came == [True]
    assert (after.offset, after.leases) == (len(DATA), ())


async def test_a_round_is_recorded_though_the_next_one_does_not_come(world: World) -> None:
    engine, body = world.engine(), Silent()
    upload = await created(engine, len(DATA))
    async with anyio.create_task_group() as group:
        group.start_soon(engine.write, ALICE, Write(upload.id, 0), body)
        with anyio.fail_after(TIMEOUT):
            while await offset(engine, upload.id) < ROUND:
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    assert await offset(engine, upload.id) == ROUND


async def test_a_round_that_fails_ends_the_next_one_though_its_client_is_silent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, body = world.engine(), Silent()
    upload = await created(engine, len(DATA))

    def fail() -> None:
        assert body.second.wait(TIMEOUT)
        raise OSError(5, "Input/output error")

    before_first_sync(monkeypatch, fail)
    with anyio.fail_after(TIMEOUT), pytest.raises(StorageFailed):
        await engine.write(ALICE, Write(upload.id, 0), body)
    assert (await engine.status(ALICE, upload.id)).leases == ()
    assert await offset(engine, upload.id) == 0
    after = await written(engine, upload, 0, DATA)  # nothing is locked any more
    assert after.offset == len(DATA)


async def test_a_request_that_is_cancelled_waits_for_the_sync_and_the_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, go_on = world.engine(), threading.Event()
    upload = await created(engine, len(DATA))
    before_first_sync(monkeypatch, lambda: go_on.wait(TIMEOUT))
    task = await in_second_round(engine, upload)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.01)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await offset(engine, upload.id) == ROUND
    after = await written(engine, upload, ROUND, DATA[ROUND:])  # nothing is locked any more
    assert (after.offset, after.leases) == (len(DATA), ())


async def test_an_upload_that_is_cancelled_has_no_round_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, go_on = world.engine(), threading.Event()
    upload = await created(engine, len(DATA))
    before_first_sync(monkeypatch, lambda: go_on.wait(TIMEOUT))
    task = await in_second_round(engine, upload)
    cancelling = asyncio.ensure_future(engine.cancel(ALICE, upload.id))
    await asyncio.sleep(0.05)
    go_on.set()
    await cancelling
    with pytest.raises(UploadGone):
        await task
    assert not world.keeps(upload.id)


async def test_a_server_that_stops_keeps_the_round_that_is_synced(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, go_on = world.engine(), threading.Event()
    upload = await created(engine, len(DATA))
    before_first_sync(monkeypatch, lambda: go_on.wait(TIMEOUT))
    task = await in_second_round(engine, upload)
    monkeypatch.setattr(engine._context, "is_stopping", lambda: True)
    stopping = asyncio.ensure_future(engine._writing.end_all())
    await asyncio.sleep(0.05)
    go_on.set()
    await stopping
    with pytest.raises(Stopping):
        await task
    assert await offset(engine, upload.id) == ROUND


async def test_the_lease_of_a_request_that_has_died_stops_no_later_round(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    died = Range(ROUND, 2 * ROUND)
    await world.catalog.update(upload.id, lambda u: u.lease(died, "died", world.now))
    after = await written(engine, upload, 0, DATA)
    assert (after.offset, after.leases) == (len(DATA), ())


async def test_a_newer_request_ends_an_older_one_in_a_later_round(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, len(DATA))
    older = await in_second_round(engine, upload)
    after = await written(engine, upload, 0, DATA)
    assert after.offset == len(DATA)
    with pytest.raises(Superseded):
        await older


async def test_an_older_request_that_has_lost_its_bytes_gets_none_of_those_after_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, a later round of the newer one would meet a lease, and end."""
    engine, lease = world.engine(), Upload.lease
    upload = await created(engine, len(DATA))
    granted: list[Range] = []

    def noted(self: Upload, want: Range, *args: Any, **options: Any) -> Upload:
        after = lease(self, want, *args, **options)
        granted.append(want)
        return after

    class Overtaken(Long):
        """Another process begins to write the same bytes when its first round has come."""

        async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
            is_first = self.remaining == len(DATA)
            ended = await super().pour(sink, limit, first)
            if is_first:
                whole = Range(0, len(DATA))
                await world.catalog.update(
                    upload.id, lambda u: lease(u, Range(0, ROUND), "newer", world.now, whole=whole)
                )
            return ended

    monkeypatch.setattr(Upload, "lease", noted)
    with pytest.raises(Superseded):
        await engine.write(ALICE, Write(upload.id, 0), Overtaken())
    assert Range(ROUND, 2 * ROUND) not in granted
    assert [held.token for held in (await world.catalog.load(upload.id)).leases] == ["newer"]
