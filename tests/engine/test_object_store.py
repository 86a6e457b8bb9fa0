"""The engine over a real object store: what differs from a disk."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Event
from unittest.mock import patch

import httpx2
import pytest
from tests.engine.conftest import (
    ALICE,
    Gathered,
    World,
    content,
    created,
    settings_in,
    written,
)
from tests.storage.store_proxy import Fault, StoreProxy, store_proxy

from wherry.app.backends import open_catalog, open_storage
from wherry.core.digests import crc64
from wherry.core.errors import ContentRefused, UploadError, UploadGone
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range
from wherry.core.requests import Create
from wherry.core.upload import State
from wherry.engine import FinishedFile, Hooks
from wherry.engine.finished import NoLocalPath, NoUrl
from wherry.storage.s3.storage import S3Storage
from wherry.testing.s3 import BUCKET, S3Server

pytestmark = pytest.mark.anyio
PART = 5 * MiB
DATA = random.Random(5).randbytes(9 * PART + 1234)


@pytest.fixture(scope="module")
def proxy(s3_server: S3Server) -> Iterator[StoreProxy]:
    with store_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
async def distant(tmp_path: Path, s3_server: S3Server, proxy: StoreProxy) -> AsyncIterator[World]:
    settings = settings_in(
        tmp_path, storage=f"s3://{BUCKET}/{tmp_path.name}", s3_endpoint=proxy.endpoint
    )
    with patch.dict("os.environ", s3_server.environment):
        storage = open_storage(settings)
    catalog = open_catalog(settings)
    proxy.reset()
    yield World(storage, catalog, settings)
    await catalog.close()


def keys(world: World) -> list[str]:
    assert isinstance(world.storage, S3Storage)
    return [key for key, _, _ in world.storage.bucket.list("") if key != "wherry.json"]


async def test_a_long_body_is_recorded_in_rounds_that_end_with_a_part(
    distant: World, proxy: StoreProxy
) -> None:
    engine = distant.engine()
    upload = await created(engine, len(DATA))
    assert upload.chunk_size == PART
    upload = await written(engine, upload, 0, DATA)
    assert upload.received.size == len(DATA)
    assert proxy.sent["UploadPart"] == len(DATA)
    assert proxy.sent["PutObject"] < 10 * KiB, "a part was written as fragments"
    done = await engine.complete(ALICE, upload.id)
    assert await content(engine, done.id) == DATA
    assert keys(distant) == [f"files/{done.id}.mp4"]


async def test_two_processes_take_turns_with_one_upload(distant: World) -> None:
    one, two = distant.engine(), distant.engine()
    upload = await created(one, len(DATA))
    step = 3 * MiB
    for number, at in enumerate(range(0, len(DATA), step)):
        engine = (one, two)[number % 2]
        await written(engine, upload, at, DATA[at : at + step])
    assert await content(two, (await one.complete(ALICE, upload.id)).id) == DATA


async def test_chunks_are_a_whole_number_of_parts_where_the_limits_allow_it(
    distant: World,
) -> None:
    engine = distant.engine()
    for wanted, offered in ((None, PART), (16 * MiB, 3 * PART), (MiB, MiB), (6 * MiB, PART)):
        upload, _ = await engine.create(ALICE, Create("a.mp4", 100 * MiB, chunk_size=wanted))
        assert upload.chunk_size == offered
        await engine.cancel(ALICE, upload.id)
    assert keys(distant) == []


async def test_hooks_get_an_address_and_no_path(distant: World, tmp_path: Path) -> None:
    seen: list[FinishedFile] = []

    def before_complete(file: FinishedFile) -> None:
        with file.open() as opened:
            assert opened.read() == DATA

    def on_complete(file: FinishedFile) -> str:
        seen.append(file)
        assert file.download(tmp_path / "copy.mp4").read_bytes() == DATA
        return "mine"

    engine = distant.engine(hooks=Hooks(before_complete, on_complete))
    upload = await created(engine, len(DATA), content_type="video/mp4")
    await written(engine, upload, 0, DATA)
    done = await engine.complete(ALICE, upload.id)
    assert done.assessment_id == "mine"
    [file] = seen
    answer = httpx2.get(file.url)
    assert answer.content == DATA
    assert answer.headers["content-type"] == "video/mp4"
    assert "film.mp4" in answer.headers["content-disposition"]
    with pytest.raises(NoLocalPath, match="use open"):
        _ = file.path
    assert keys(distant) == [f"files/{done.id}.mp4"]


@pytest.mark.disk_only
async def test_a_file_on_a_disk_has_a_path_and_no_address(world: World) -> None:
    seen: list[FinishedFile] = []

    def on_complete(file: FinishedFile) -> str:
        seen.append(file)
        return "mine"

    engine = world.engine(hooks=Hooks(None, on_complete))
    upload = await created(engine, 4)
    await written(engine, upload, 0, b"film")
    await engine.complete(ALICE, upload.id)
    [file] = seen
    assert file.path.read_bytes() == b"film"
    with pytest.raises(NoUrl, match="use path"):
        _ = file.url


async def test_a_file_that_a_hook_refuses_leaves_nothing(distant: World) -> None:
    def refuse(file: FinishedFile) -> None:
        raise ContentRefused("not this one")

    engine = distant.engine(hooks=Hooks(refuse, None))
    upload = await created(engine, len(DATA))
    await written(engine, upload, 0, DATA)
    with pytest.raises(ContentRefused):
        await engine.complete(ALICE, upload.id)
    assert keys(distant) == []


async def test_the_next_bytes_are_sent_while_a_round_is_synced(
    distant: World, proxy: StoreProxy
) -> None:
    engine = distant.engine()
    upload = await created(engine, len(DATA))
    # Both parts of the first round, and the first one of the second round.
    together = Barrier(3, timeout=60)
    proxy.faults = [Fault("UploadPart", 3, 503, "SlowDown", then=lambda: arrived(together))]
    with patch("wherry.engine.writing.RECORD_EVERY", 2 * PART):
        upload = await written(engine, upload, 0, DATA)
    assert not together.broken, "no part of the second round came while the first one was synced"
    assert upload.received.size == len(DATA)
    assert await content(engine, (await engine.complete(ALICE, upload.id)).id) == DATA


def arrived(together: Barrier) -> None:
    with suppress(BrokenBarrierError):
        together.wait()


async def test_an_upload_whose_parts_are_gone_is_told_when_bytes_come(distant: World) -> None:
    engine = distant.engine()
    upload = await created(engine, 100_000)
    await written(engine, upload, 0, DATA[:50_000])
    assert isinstance(distant.storage, S3Storage)
    distant.storage.delete(upload.id)  # as a lifecycle rule may
    with pytest.raises(UploadError) as raised:
        await written(engine, upload, 50_000, DATA[50_000:100_000])
    assert raised.value.code == "upload-gone"


@pytest.mark.parametrize("verb", ["write", "complete", "status", "sweep"])
async def test_a_process_that_remembers_an_upload_that_is_gone_claims_nothing_of_it_for_long(
    distant: World, verb: str
) -> None:
    engine, length = distant.engine(), PART + 100_000
    upload = await created(engine, length)
    await written(engine, upload, 0, DATA[: length if verb == "complete" else PART])
    open_again(distant).delete(upload.id)  # as an operator may
    assert (await engine.status(ALICE, upload.id)).state is State.RECEIVING  # it is remembered
    with patch("wherry.storage.s3.multipart.PAUSES", (0.01,)):
        if verb == "write":
            with pytest.raises(UploadGone):
                await written(engine, upload, PART, DATA[PART : PART + 1000])
        elif verb == "complete":
            with pytest.raises(UploadGone):
                await engine.complete(ALICE, upload.id)
    with patch("wherry.storage.s3.markers.FRESH", 0.0):  # half a minute later
        swept = [each.action for each in await engine.sweep()] if verb == "sweep" else []
        assert (await engine.status(ALICE, upload.id)).state is State.EXPIRED
    assert swept == (["vanish"] if verb == "sweep" else [])
    assert keys(distant) == []


async def test_many_unfinished_uploads_cost_a_sweep_few_requests(
    distant: World, proxy: StoreProxy
) -> None:
    engine = distant.engine()
    for _ in range(8):
        upload = await created(engine, 100_000)
        await written(engine, upload, 0, DATA[:50_000])
    other = distant.engine(storage=open_again(distant))
    proxy.reset()
    assert await other.sweep() == []
    assert sum(proxy.requests.values()) <= 8, proxy.requests


def open_again(world: World) -> S3Storage:
    """As another process does, which remembers nothing."""
    assert isinstance(world.storage, S3Storage)
    return S3Storage(world.storage.bucket._client, world.storage.bucket.place)


async def test_a_file_in_one_request_that_was_put_too_long_ago_is_not_recorded_so(
    distant: World,
) -> None:
    """The sweep of another process may have removed it meanwhile."""
    engine = distant.engine()
    with patch("wherry.engine.at_once.UNRECORDED", -1.0):
        done = await engine.receive(ALICE, Create("a.mp4", None, at_most=4), Gathered(b"film"))
    assert await content(engine, done.id) == b"film"
    assert keys(distant) == [f"files/{done.id}.mp4"]


async def test_what_no_record_knows_is_found_and_ended(distant: World) -> None:
    engine, storage = distant.engine(), open_again(distant)
    kept = await created(engine, 4)
    await written(engine, kept, 0, b"film")
    await engine.complete(ALICE, kept.id)
    unfinished = await created(engine, 100_000)
    await written(engine, unfinished, 0, DATA[:50_000])
    storage.bucket.begin(f"files/{'x' * 32}.mp4", "token")  # a crash before its marker
    with storage.put("y" * 32, ".mp4", [memoryview(b"old")]) as arrival:
        arrival.keep()  # its record is lost
    storage.bucket.begin("probes/x", "token")  # a crash while the store is tried out
    storage.bucket.put("probes/y", b"wherry", crc64(b"wherry"))
    distant.now = time.time()
    assert await engine.reconcile() == [], "an hour is left to restore a record"
    distant.now += 3700
    for dry_run in (True, False):
        found = await engine.reconcile(dry_run)
        assert [stray.upload_id for stray in found] == ["x" * 32, "y" * 32, None, None]
        assert [stray.key for stray in found[2:]] == ["probes/x", "probes/y"]
    assert await engine.reconcile() == []
    assert list(storage.bucket.uploads("probes/")) == []
    assert await content(engine, kept.id) == b"film"
    await written(engine, unfinished, 50_000, DATA[50_000:100_000])
    await engine.complete(ALICE, unfinished.id)
    assert await content(engine, unfinished.id) == DATA[:100_000]


async def test_a_client_that_sends_other_bytes_never_gets_a_wrong_file(distant: World) -> None:
    engine, late, length = distant.engine(), open_again(distant), PART + 100_000
    upload = await created(engine, length)
    with late.open(upload.id, Range(PART, length)) as paused:  # a process that was stopped
        paused.write(PART, memoryview(bytes(100_000)))
        await written(engine, upload, 0, DATA[:length])
        paused.sync()
    with pytest.raises(UploadError) as raised:
        await engine.complete(ALICE, upload.id)
    assert raised.value.code == "storage-failed"
    assert "not those that were received" in str(raised.value)
    assert not any(key.startswith("files/") for key in keys(distant))


async def test_of_a_small_file_the_recorded_bytes_are_the_file_whoever_else_sent_some(
    distant: World,
) -> None:
    for is_late_first in (True, False):
        engine, late = distant.engine(), open_again(distant)
        upload = await created(engine, 100_000)
        with late.open(upload.id, Range(0, 100_000)) as paused:  # a process that was stopped
            paused.write(0, memoryview(bytes(100_000)))
            if is_late_first:
                paused.sync()
            await written(engine, upload, 0, DATA[:100_000])
            if not is_late_first:
                paused.sync()
        done = await engine.complete(ALICE, upload.id)
        assert await content(engine, done.id) == DATA[:100_000]


async def test_a_small_file_that_is_cancelled_on_its_way_to_the_store_leaves_nothing(
    distant: World, proxy: StoreProxy
) -> None:
    engine, other = distant.engine(), distant.engine(storage=open_again(distant))
    upload, loop = await created(engine, 100_000), asyncio.get_running_loop()

    def cancel() -> None:  # by another process, which finds no object yet
        asyncio.run_coroutine_threadsafe(other.cancel(ALICE, upload.id), loop).result(60)

    proxy.faults = [Fault("PutObject", 1, 503, "SlowDown", passes=False, then=cancel)]
    with pytest.raises(UploadError) as raised:
        await written(engine, upload, 0, DATA[:100_000])
    assert raised.value.code == "upload-gone"
    assert proxy.requests["PutObject"] == 3, "the object was not made after it was cancelled"
    assert keys(distant) == []


async def test_a_body_that_ends_early_keeps_what_came(distant: World) -> None:
    engine = distant.engine()
    upload = await created(engine, len(DATA))
    half = PART + 1_000_000
    await written(engine, upload, 0, DATA[:half])
    again = distant.engine(storage=open_again(distant))
    assert (await again.status(ALICE, upload.id)).offset == half
    await written(again, upload, half, DATA[half:])
    assert await content(again, (await again.complete(ALICE, upload.id)).id) == DATA


@pytest.mark.disk_only
async def test_a_server_is_told_that_threads_wait_for_a_network(
    distant: World, world: World
) -> None:
    assert distant.engine().is_storage_distant
    assert not world.engine().is_storage_distant


async def test_parts_that_the_store_is_slow_to_take_hold_up_nobody_else(
    distant: World, proxy: StoreProxy
) -> None:
    is_over = Event()
    distant.settings = settings_in(
        distant.settings.data,
        storage=distant.settings.storage,
        s3_endpoint=proxy.endpoint,
        max_open=None,
    )
    engine = distant.engine()
    slow = [await created(engine, 100_000) for _ in range(24)]

    def wait() -> None:
        is_over.wait(60)

    # More than there are threads for a disk. Their answers are lost in the end, and asked again.
    proxy.faults = [Fault("PutObject", len(slow), then=wait)]
    tasks = [asyncio.ensure_future(written(engine, upload, 0, DATA[:100_000])) for upload in slow]
    try:
        async with asyncio.timeout(60):
            while proxy.faults[0].times:
                await asyncio.sleep(0.01)
        other = await created(engine, 100_000)
        await written(engine, other, 0, DATA[:1000])
        assert (await engine.status(ALICE, other.id)).offset == 1000
        assert not any(task.done() for task in tasks)
    finally:
        is_over.set()
        proxy.faults = []
    for upload in await asyncio.gather(*tasks):
        assert upload.offset == 100_000
