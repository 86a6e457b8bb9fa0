"""Parts that clients send to the store themselves, over a real one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx2
import pytest
from tests.engine.conftest import ALICE, Held, World, content, created, settings_in, written
from tests.storage.store_proxy import Fault, StoreProxy, store_proxy

from wherry.app.backends import open_catalog, open_storage
from wherry.core.digests import crc64
from wherry.core.errors import (
    BadRequest,
    PartsMissing,
    Queued,
    RateLimited,
    StorageFailed,
    Superseded,
    UploadClosed,
    UploadError,
    UploadGone,
    UploadNotFound,
)
from wherry.core.limits import MiB
from wherry.core.requests import Caller, Create, Write
from wherry.core.upload import Upload
from wherry.engine import AddressedPart, Engine
from wherry.storage.s3.storage import S3Storage
from wherry.testing.s3 import BUCKET, S3Server

pytestmark = pytest.mark.anyio
PART = 5 * MiB
#: Four parts, and the last is shorter.
DATA = random.Random(9).randbytes(3 * PART + 1234)
LENGTH = len(DATA)


def part_of(number: int) -> bytes:
    return DATA[(number - 1) * PART : number * PART]


@pytest.fixture(scope="module")
def proxy(s3_server: S3Server) -> Iterator[StoreProxy]:
    with store_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
async def distant(tmp_path: Path, s3_server: S3Server, proxy: StoreProxy) -> AsyncIterator[World]:
    settings = settings_in(
        tmp_path,
        storage=f"s3://{BUCKET}/{tmp_path.name}",
        s3_endpoint=proxy.endpoint,
        s3_public_endpoint=s3_server.endpoint,
        direct_uploads=True,
    )
    with patch.dict("os.environ", s3_server.environment):
        storage = open_storage(settings)
    catalog = open_catalog(settings)
    proxy.reset()
    yield World(storage, catalog, settings)
    await catalog.close()


def changed(world: World, **changes: Any) -> Engine:
    kept = ("storage", "s3_endpoint", "s3_public_endpoint", "direct_uploads")
    given = {name: getattr(world.settings, name) for name in kept}
    world.settings = settings_in(world.settings.data, **(given | changes))
    return world.engine()


async def addresses(engine: Engine, upload: Upload, *numbers: int) -> list[AddressedPart]:
    crcs = {number: crc64(part_of(number)) for number in numbers}
    return (await engine.addresses(ALICE, upload.id, crcs))[1]


async def send(part: AddressedPart, data: bytes | None = None) -> httpx2.Response:
    address = part.address
    async with httpx2.AsyncClient() as http:
        return await http.request(
            address.method,
            address.url,
            content=DATA[part.range.start : part.range.end] if data is None else data,
            headers=dict(address.headers),
        )


async def sent(engine: Engine, upload: Upload, *numbers: int) -> None:
    for part in await addresses(engine, upload, *numbers):
        assert (await send(part)).is_success


async def test_a_file_whose_parts_bypass_the_engine_is_whole(
    distant: World, proxy: StoreProxy
) -> None:
    one, two = distant.engine(), distant.engine()
    upload = await created(one, LENGTH)
    assert one.direct_part_size(upload) == PART
    await written(one, upload, 0, part_of(1))
    proxy.reset()
    await sent(one, upload, 4, 2, 3)
    upload = await two.report(ALICE, upload.id, [3, 4])
    assert [(p.start, p.end) for p in upload.received.parts] == [(0, PART), (2 * PART, LENGTH)]
    upload = await one.report(ALICE, upload.id, [2])
    assert upload.received.crc == crc64(DATA)
    assert proxy.requests["UploadPart"] == 0, "the engine has sent a part"
    done = await two.complete(ALICE, upload.id)
    assert await content(one, done.id) == DATA


@pytest.mark.disk_only
async def test_it_is_offered_where_parts_can_be_sent_and_are_more_than_one(
    distant: World, world: World
) -> None:
    engine = distant.engine()
    assert engine.direct_part_size(await created(engine, PART)) is None
    assert engine.direct_part_size(await created(engine, PART + 1)) == PART
    local = world.engine()
    upload = await created(local, LENGTH)
    assert local.direct_part_size(upload) is None
    for ask in (local.addresses(ALICE, upload.id, {2: 0}), local.report(ALICE, upload.id, [2])):
        with pytest.raises(BadRequest, match="takes no direct uploads"):
            await ask


async def test_a_report_repeated_has_the_same_answer_and_asks_the_store_nothing(
    distant: World, proxy: StoreProxy
) -> None:
    engine = distant.engine()
    upload = await created(engine, LENGTH)
    await sent(engine, upload, 2)
    proxy.reset()
    first = await engine.report(ALICE, upload.id, [2])
    again = await engine.report(ALICE, upload.id, [2])
    assert again.received == first.received
    assert proxy.requests == {"ListParts": 1}
    together = await asyncio.gather(*(engine.report(ALICE, upload.id, [2]) for _ in range(4)))
    assert all(each.received == first.received for each in together)
    assert await addresses(engine, upload, 2) == [], "it is recorded"


async def test_parts_that_are_not_there_are_named_when_the_others_are_recorded(
    distant: World,
) -> None:
    engine = distant.engine()
    upload = await created(engine, LENGTH)
    await sent(engine, upload, 3)
    with pytest.raises(PartsMissing) as raised:
        await engine.report(ALICE, upload.id, [2, 3, 4])
    assert raised.value.parts == (2, 4)
    assert (await engine.status(ALICE, upload.id)).received.size == PART
    await sent(engine, upload, 2, 4)
    await engine.report(ALICE, upload.id, [2, 3, 4])


async def test_a_part_that_is_too_short_is_not_recorded(distant: World) -> None:
    engine = distant.engine()
    upload = await created(engine, LENGTH)
    assert isinstance(distant.storage, S3Storage)
    multipart, short = distant.storage._find(upload.id), part_of(2)[:-1]
    distant.storage.bucket.put_part(
        multipart._key, multipart.marker.multipart, 2, bytearray(short), len(short), crc64(short)
    )
    with pytest.raises(PartsMissing):
        await engine.report(ALICE, upload.id, [2])
    assert not (await engine.status(ALICE, upload.id)).received.count


async def test_other_bytes_at_a_second_address_never_become_a_file(distant: World) -> None:
    engine = distant.engine()
    upload = await created(engine, LENGTH)
    await written(engine, upload, 0, part_of(1))
    other = bytes(PART)
    _, [second] = await engine.addresses(ALICE, upload.id, {2: crc64(other)})
    await sent(engine, upload, 2, 3, 4)
    await engine.report(ALICE, upload.id, [2, 3, 4])
    assert (await send(second, other)).is_success
    with pytest.raises(StorageFailed, match="not those that were received"):
        await engine.complete(ALICE, upload.id)
    with pytest.raises(UploadError):
        await content(engine, upload.id)
    # The client sends the right bytes again, at an address that is still valid.
    assert isinstance(distant.storage, S3Storage)
    multipart = distant.storage._find(upload.id)
    multipart.put_part(second.range, memoryview(part_of(2)), crc64(part_of(2)))
    assert await content(engine, (await engine.complete(ALICE, upload.id)).id) == DATA


async def test_a_part_that_is_recorded_in_part_comes_as_chunks(distant: World) -> None:
    engine = distant.engine()
    upload = await created(engine, LENGTH)
    [early] = await addresses(engine, upload, 2)
    await written(engine, upload, PART + 100, part_of(2)[100:200])
    with pytest.raises(BadRequest, match="send the others as chunks"):
        await addresses(engine, upload, 2)
    assert (await send(early)).is_success
    with pytest.raises(PartsMissing) as raised:
        await engine.report(ALICE, upload.id, [2])
    assert raised.value.parts == (2,)
    # Its bytes as chunks, and the rest directly.
    await written(engine, upload, 0, DATA[: PART + 100])
    await written(engine, upload, PART + 200, part_of(2)[200:])
    await sent(engine, upload, 3, 4)
    await engine.report(ALICE, upload.id, [2, 3, 4])
    assert await content(engine, (await engine.complete(ALICE, upload.id)).id) == DATA


async def test_the_first_part_comes_through_the_engine(distant: World) -> None:
    engine = distant.engine()
    upload = await created(engine, LENGTH)
    for numbers in ([1], [2, 1], [5]):
        with pytest.raises(BadRequest):
            await engine.addresses(ALICE, upload.id, dict.fromkeys(numbers, 0))
        with pytest.raises(BadRequest):
            await engine.report(ALICE, upload.id, numbers)


async def test_only_the_owner_gets_addresses_and_may_report(distant: World) -> None:
    engine = distant.engine()
    upload = await created(engine, LENGTH)
    for stranger in (Caller("bob"), Caller("root", operator=True)):
        with pytest.raises(UploadNotFound):
            await engine.addresses(stranger, upload.id, {2: 0})
        with pytest.raises(UploadNotFound):
            await engine.report(stranger, upload.id, [2])


async def test_an_upload_that_has_ended_gives_no_address_and_records_nothing(
    distant: World,
) -> None:
    engine = distant.engine()
    cancelled, complete = await created(engine, LENGTH), await created(engine, LENGTH)
    [late] = await addresses(engine, cancelled, 4)  # small: it is refused in one piece
    await engine.cancel(ALICE, cancelled.id)
    await written(engine, complete, 0, DATA)
    await engine.complete(ALICE, complete.id)
    for upload, error in ((cancelled, UploadGone), (complete, UploadClosed)):
        with pytest.raises(error):
            await addresses(engine, upload, 2)
        with pytest.raises(error):
            await engine.report(ALICE, upload.id, [2])
    assert (await send(late)).status_code == 404
    assert isinstance(distant.storage, S3Storage)
    assert [key for key, _, _ in distant.storage.bucket.list("") if cancelled.id in key] == []


async def test_an_upload_that_waits_is_offered_it_and_gets_addresses_when_admitted(
    distant: World,
) -> None:
    engine = changed(distant, max_open=1)
    first, waiting = await created(engine, LENGTH), await created(engine, LENGTH)
    assert engine.direct_part_size(waiting) == PART
    with pytest.raises(Queued) as refused:
        await addresses(engine, waiting, 2)
    assert refused.value.position == 1
    await engine.cancel(ALICE, first.id)
    await engine.advance()
    assert len(await addresses(engine, waiting, 2)) == 1


async def test_addresses_need_a_slot_and_a_report_does_not(distant: World) -> None:
    engine = changed(distant, max_open=1)
    upload = await created(engine, LENGTH)
    await written(engine, upload, 0, part_of(1))
    await sent(engine, upload, 2)
    distant.now += distant.settings.slot_idle + 1
    other = await created(engine, LENGTH)
    assert other.queued_at is None, "the slot was not free"
    after = await engine.report(ALICE, upload.id, [2])
    assert after.received.size == 2 * PART
    assert not after.is_open(distant.now)
    with pytest.raises(Queued):
        await addresses(engine, upload, 3)
    await engine.cancel(ALICE, other.id)
    await engine.advance()
    await sent(engine, upload, 3)
    assert (await engine.report(ALICE, upload.id, [3])).is_open(distant.now)


async def test_addresses_and_reports_keep_the_slot(distant: World) -> None:
    engine = distant.engine()
    upload = await created(engine, LENGTH)
    await written(engine, upload, 0, part_of(1))
    idle = distant.settings.slot_idle
    for numbers in ((2, 3), (4,)):
        distant.now += 0.9 * idle
        await sent(engine, upload, *numbers)
        distant.now += 0.9 * idle
        upload = await engine.report(ALICE, upload.id, numbers)
        assert upload.slot_until >= distant.now + 0.5 * idle
    assert upload.active_at == distant.now


async def test_a_report_ends_an_older_request_for_the_same_bytes(distant: World) -> None:
    engine = distant.engine()
    upload = await created(engine, LENGTH)
    await sent(engine, upload, 2)
    body = Held(part_of(2))
    write = asyncio.ensure_future(engine.write(ALICE, Write(upload.id, PART), body))
    await body.begun.wait()
    upload = await engine.report(ALICE, upload.id, [2])
    assert upload.received.size == PART
    assert not upload.leases
    body.let_go.set()
    with pytest.raises(Superseded):
        await write
    await written(engine, upload, 0, part_of(1))
    await written(engine, upload, 2 * PART, DATA[2 * PART :])
    assert await content(engine, (await engine.complete(ALICE, upload.id)).id) == DATA


async def test_a_chunk_that_begins_after_a_report_finds_its_bytes(distant: World) -> None:
    engine = distant.engine()
    upload = await created(engine, LENGTH)
    await sent(engine, upload, 2)
    await engine.report(ALICE, upload.id, [2])
    upload = await written(engine, upload, PART, bytes(PART))
    await written(engine, upload, 0, part_of(1))
    await written(engine, upload, 2 * PART, DATA[2 * PART :])
    assert await content(engine, (await engine.complete(ALICE, upload.id)).id) == DATA


async def test_addresses_count_for_the_rate_of_bytes(distant: World) -> None:
    engine = changed(distant, rate_bytes=f"{2 * PART}/hour")
    upload = await created(engine, LENGTH)
    await addresses(engine, upload, 2, 4)
    with pytest.raises(RateLimited) as refused:
        await addresses(engine, upload, 3)
    assert refused.value.kind == "bytes"
    await addresses(engine, upload, 4)
    with pytest.raises(BadRequest):
        await addresses(engine, upload, 1)


async def test_an_upload_that_was_removed_from_the_store_is_told(distant: World) -> None:
    engine = distant.engine()
    asked, reported = await created(engine, LENGTH), await created(engine, LENGTH)
    assert isinstance(distant.storage, S3Storage)
    for upload in (asked, reported):
        distant.storage.delete(upload.id)
    with pytest.raises(UploadGone):
        await addresses(engine, asked, 2)
    with pytest.raises(UploadGone):
        await engine.report(ALICE, reported.id, [2])


async def test_a_report_that_comes_while_another_one_completes_the_file_ends_nothing(
    distant: World, proxy: StoreProxy
) -> None:
    """The multipart upload is gone a moment before the record says complete."""
    engine = distant.engine()
    upload = await created(engine, LENGTH)
    await written(engine, upload, 0, part_of(1))
    await sent(engine, upload, 2, 3, 4)
    loop = asyncio.get_running_loop()
    assert isinstance(distant.storage, S3Storage)
    storage = distant.storage

    async def overtake() -> None:
        await engine.report(ALICE, upload.id, [2, 3, 4])
        storage.link(upload.id, upload.suffix, LENGTH, crc64(DATA))

    class Late(S3Storage):
        """Its answer comes when another request has recorded the parts, and made the object."""

    late = Late(storage.bucket._client, storage.bucket.place, is_direct=True)
    stored = late.parts.stored

    def wait_and_ask(upload_id: str, numbers: Any) -> Any:
        asyncio.run_coroutine_threadsafe(overtake(), loop).result(60)
        return stored(upload_id, numbers)

    with patch.object(late.parts, "stored", wait_and_ask):
        after = await distant.engine(storage=late).report(ALICE, upload.id, [2, 3, 4])
    assert after.received.size == LENGTH
    assert await content(engine, (await engine.complete(ALICE, upload.id)).id) == DATA


async def test_a_store_that_is_away_says_so_and_nothing_is_lost(
    distant: World, proxy: StoreProxy
) -> None:
    engine = distant.engine()
    upload = await created(engine, LENGTH)
    await sent(engine, upload, 2)
    proxy.faults = [Fault("ListParts", 1, 403, "AccessDenied", passes=False)]
    with pytest.raises(StorageFailed):
        await engine.report(ALICE, upload.id, [2])
    proxy.faults = []
    assert (await engine.report(ALICE, upload.id, [2])).received.size == PART


async def test_reported_bytes_are_counted_once_and_told_apart(distant: World) -> None:
    engine = distant.engine()
    upload = await created(engine, LENGTH)
    await written(engine, upload, 0, part_of(1))
    await sent(engine, upload, 2, 4)
    for numbers in ([2, 4], [2]):
        await engine.report(ALICE, upload.id, numbers)
    found = (await engine.metrics(Caller("root", operator=True))).decode()
    values = dict(line.split(" ") for line in found.splitlines() if line.startswith("wherry_"))

    def total(name: str) -> float:
        return sum(float(v) for k, v in values.items() if k.partition("{")[0] == name)

    assert total("wherry_direct_bytes_total") == PART + 1234
    assert total("wherry_part_bytes_sum") == 2 * PART + 1234


async def test_chunks_and_parts_have_sizes_of_their_own(distant: World) -> None:
    engine = distant.engine()
    upload, _ = await engine.create(ALICE, Create("film.mp4", LENGTH, chunk_size=MiB))
    assert upload.chunk_size == MiB
    assert engine.direct_part_size(upload) == PART
