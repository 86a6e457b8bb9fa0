"""One request brings a whole file: the same results in one trip and in steps."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest
from tests.engine.conftest import ALICE, Bytes, Gathered, Held, World, content, created

from wherry.body import Ended, First, Sink
from wherry.core.digests import Digest, crc64, running
from wherry.core.errors import (
    BadRequest,
    BodyCut,
    Busy,
    DigestDiffers,
    DigestMismatch,
    LengthMismatch,
    NeverFits,
    NoRoom,
    StorageFailed,
    TooLarge,
    TypeRefused,
    UploadError,
    UploadGone,
    UploadNotFound,
)
from wherry.core.requests import Caller, Create, id_of_key
from wherry.core.upload import State, Upload
from wherry.engine import Engine, Hooks
from wherry.storage import CannotPut

pytestmark = pytest.mark.anyio

DATA = b"\x00\x00\x00\x18ftypmp42" + bytes(range(200)) * 50
DAY = 24 * 3600.0
BOB = Caller("bob")


class InPieces(Gathered):
    """A body in memory, as a server brings it: in several pieces, one of them empty."""

    async def gather(self, most: int) -> Any:
        found = await super().gather(most)
        return found and (found[0][:5], found[0][5:5], found[0][5:9000], found[0][9000:])


class Cut(Bytes):
    """A body that breaks off half-way."""

    async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
        await super().pour(sink, min(limit, self.remaining // 2), first)
        self._data = self._data[:0]
        return Ended.CUT


@pytest.fixture(params=[Bytes, Gathered, InPieces], ids=["in-steps", "at-once", "in-pieces"])
def body(request: pytest.FixtureRequest) -> Callable[[bytes], Bytes]:
    kind: Callable[[bytes], Bytes] = request.param
    return kind


def limited(world: World, **changes: Any) -> Engine:
    world.settings = world.settings.model_copy(update=changes)
    return world.engine()


def film(length: int | None = len(DATA), **more: Any) -> Create:
    return Create("film.mp4", length, **more)


def left(world: World) -> list[str]:
    """The names of all that storage has."""
    return [name.rpartition("/")[2] for name in world.stored()]


async def test_a_file_is_complete_and_queued_for_its_assessment(
    world: World, body: Callable[[bytes], Bytes]
) -> None:
    engine = world.engine()
    create = film(content_type="video/mp4", fingerprint="f", metadata={"a": "b"})
    upload = await engine.receive(ALICE, create, body(DATA))
    assert upload == await world.catalog.load(upload.id)
    assert await content(engine, upload.id) == DATA
    [assessment] = await world.catalog.assessments()
    assert (assessment.id, assessment.upload_id) == (upload.assessment_id, upload.id)
    assert upload.received_digest == Digest.of_crc(crc64(DATA))
    assert await engine.alike(ALICE, "f") == [upload]
    assert left(world) == [f"{upload.id}.mp4"]
    assert list(world.storage.unfinished()) == []
    assert await engine.complete(ALICE, upload.id) == upload


async def test_both_ways_record_the_same(world: World) -> None:
    engine = world.engine()
    create = film(content_type="video/mp4", fingerprint="f", metadata={"a": "b"})
    found = [await engine.receive(ALICE, create, kind(DATA)) for kind in (Bytes, Gathered)]
    in_steps, at_once = (replace(upload, id="", assessment_id="") for upload in found)
    assert in_steps == at_once


@pytest.mark.parametrize("data", [b"", b"x", DATA])
async def test_a_form_brings_a_file_whose_length_shows_at_its_end(
    world: World, body: Callable[[bytes], Bytes], data: bytes
) -> None:
    engine = limited(world, assessment=False)
    upload = await engine.receive(ALICE, film(None, at_most=len(data) + 2), body(data))
    assert (upload.length, upload.assessment_id) == (len(data), None)
    assert await content(engine, upload.id) == data


async def test_a_file_above_a_limit_leaves_nothing(
    world: World, body: Callable[[bytes], Bytes]
) -> None:
    engine = limited(world, max_size=1000)
    with pytest.raises(TooLarge):
        await engine.receive(ALICE, film(), body(DATA))
    # A form may bring more than it seemed to.
    with pytest.raises(TooLarge):
        await engine.receive(ALICE, film(None, at_most=1000), body(DATA[:1001]))
    engine = limited(world, max_size=None, max_reserved=100)
    with pytest.raises(NeverFits):
        await engine.receive(ALICE, film(), body(DATA))
    with pytest.raises(BadRequest):
        await engine.receive(ALICE, Create("a/b", len(DATA)), body(DATA))
    assert left(world) == []


async def test_a_refused_type_leaves_nothing(world: World, body: Callable[[bytes], Bytes]) -> None:
    engine = limited(world, allowed_types=("video/*",))
    for data in (b"%PDF-1.7", b"%PDF-1.7" + DATA, b""):
        with pytest.raises(TypeRefused):
            await engine.receive(ALICE, film(len(data)), body(data))
    assert left(world) == []
    upload = await engine.receive(ALICE, film(), body(DATA))
    assert await content(engine, upload.id) == DATA


@pytest.mark.parametrize("algorithm", ["sha-256", "crc64nvme"])
async def test_a_file_that_fails_its_digest_leaves_nothing(
    world: World, body: Callable[[bytes], Bytes], algorithm: str
) -> None:
    engine, right = world.engine(), running(algorithm)
    right.update(memoryview(DATA))
    digest = Digest(algorithm, right.digest())
    with pytest.raises(DigestMismatch):
        await engine.receive(ALICE, film(), body(DATA[::-1]), digest=digest)
    with pytest.raises(DigestMismatch):
        await engine.receive(ALICE, film(0), body(b""), digest=digest)
    assert left(world) == []
    assert await world.catalog.uploads({State.COMPLETE}) == []
    upload = await engine.receive(ALICE, film(), body(DATA), digest=digest)
    assert await content(engine, upload.id) == DATA


async def test_a_body_that_breaks_off_leaves_nothing(world: World) -> None:
    engine = world.engine()
    with pytest.raises(BodyCut):
        await engine.receive(ALICE, film(), Cut(DATA), key="k")
    assert left(world) == []
    # Nothing has come of the key, so it may be used again.
    upload = await engine.receive(ALICE, film(), Gathered(DATA), key="k")
    assert await content(engine, upload.id) == DATA


@pytest.mark.parametrize(
    "changes",
    [
        {"max_open": 1},
        {"max_open_per_owner": 1},
        {"max_reserved": len(DATA) + 99},
        {"max_reserved_per_owner": len(DATA) + 99},
    ],
    ids=str,
)
async def test_a_file_that_is_not_admitted_leaves_nothing(
    world: World, body: Callable[[bytes], Bytes], changes: dict[str, int]
) -> None:
    engine = limited(world, **changes)
    held = await created(engine, 100)
    with pytest.raises(NoRoom):
        await engine.receive(ALICE, film(), body(DATA), key="k")
    assert left(world) == [held.id]
    assert await world.catalog.assessments() == []
    assert (await world.catalog.queue(world.now)).entries == ()
    await engine.cancel(ALICE, held.id)
    upload = await engine.receive(ALICE, film(), body(DATA), key="k")
    assert await content(engine, upload.id) == DATA


async def test_a_small_file_does_not_pass_an_upload_that_waits_for_its_space(
    world: World, body: Callable[[bytes], Bytes]
) -> None:
    engine = limited(world, max_reserved=len(DATA) + 200)
    held = await created(engine, 300)
    waiting = await created(engine, len(DATA))
    assert waiting.state is State.WAITING
    await engine.cancel(ALICE, held.id)
    with pytest.raises(NoRoom):
        await engine.receive(ALICE, film(), body(DATA))


async def test_an_upload_that_missed_its_turn_makes_room(
    world: World, body: Callable[[bytes], Bytes]
) -> None:
    engine = limited(world, max_open=1)
    await created(engine, 100)
    world.now += world.settings.turn + 1
    upload = await engine.receive(ALICE, film(), body(DATA))
    assert await content(engine, upload.id) == DATA


async def test_hooks_get_the_file_of_a_small_request_too(world: World) -> None:
    engine = world.engine(hooks=Hooks(on_complete=lambda file: f"theirs-{file.size}"))
    upload = await engine.receive(ALICE, film(), Gathered(DATA))
    assert upload.assessment_id == f"theirs-{len(DATA)}"


class Without:
    """A storage whose volume has no hard links."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def put(self, upload_id: str, *_: object) -> None:
        raise CannotPut(upload_id)


async def test_without_hard_links_a_file_goes_in_steps(world: World) -> None:
    storage: Any = Without(world.storage)
    upload = await world.engine(storage).receive(ALICE, film(), Gathered(DATA))
    assert await content(world.engine(), upload.id) == DATA


@pytest.mark.disk_only
async def test_local_storage_without_hard_links_puts_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(CannotPut):
        world.storage.put("u" * 32, ".mp4", [memoryview(DATA)])
    assert left(world) == []


class InDoubt:
    """A catalog that records, and says that it has failed."""

    def __init__(self, catalog: Any) -> None:
        self._catalog = catalog

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def submit_create(self, *args: Any) -> None:
        self._catalog.submit_create(*args).result()
        raise StorageFailed("the disk is away")


async def test_a_file_whose_record_is_in_doubt_stays(world: World) -> None:
    catalog: Any = InDoubt(world.catalog)
    with pytest.raises(StorageFailed):
        await world.engine(catalog=catalog).receive(ALICE, film(), Gathered(DATA), key="k")
    upload = await world.engine().receive(ALICE, film(), Gathered(DATA), key="k")
    assert await content(world.engine(), upload.id) == DATA
    [recorded] = await world.catalog.uploads()
    assert recorded == upload


# What a crash leaves.


def die_after_put(world: World, upload_id: str, suffix: str = ".mp4") -> None:
    """A process that has put the file and recorded nothing."""
    with world.storage.put(upload_id, suffix, [memoryview(DATA)]):
        pass


async def test_the_sweep_removes_a_file_without_a_record_after_an_hour(world: World) -> None:
    upload_id = "a" * 32
    die_after_put(world, upload_id)
    assert set(left(world)) == {upload_id, f"{upload_id}.mp4"}
    [(_, changed)] = world.storage.unfinished()
    world.now = changed + 1800
    assert await world.engine().sweep() == []
    world.now = changed + 3700
    assert [swept.upload_id for swept in await world.engine().sweep()] == [upload_id]
    assert left(world) == []


@pytest.mark.disk_only
async def test_the_sweep_leaves_a_file_alone_that_a_process_still_holds(world: World) -> None:
    upload_id = "a" * 32
    with world.storage.put(upload_id, ".mp4", [memoryview(DATA)]) as arrival:
        [(_, changed)] = world.storage.unfinished()
        world.now = changed + DAY
        assert await world.engine().sweep() == []
        assert set(left(world)) == {upload_id, f"{upload_id}.mp4"}
        arrival.keep()


@pytest.mark.disk_only
async def test_the_sweep_keeps_the_file_of_a_complete_upload(world: World) -> None:
    upload = await world.engine().receive(ALICE, film(), Gathered(DATA))
    data = world.settings.data
    os.link(data / "files" / f"{upload.id}.mp4", data / "temp_chunks" / upload.id)
    for _ in range(2):
        await world.engine().sweep()
        assert left(world) == [f"{upload.id}.mp4"]
    assert await content(world.engine(), upload.id) == DATA


@pytest.mark.parametrize("finder", ["repeated request", "sweep"])
async def test_of_a_file_with_another_suffix_than_the_recorded_one_nothing_stays(
    world: World, finder: str
) -> None:
    upload = await world.engine().receive(ALICE, film(), Gathered(DATA), key="k")
    die_after_put(world, upload.id, ".mov")
    assert set(left(world)) == {upload.id, f"{upload.id}.mp4", f"{upload.id}.mov"}
    if finder == "sweep":
        await world.engine().sweep()
    else:
        again = Create("film.mov", len(DATA))
        assert await world.engine().receive(ALICE, again, Gathered(DATA), key="k") == upload
    assert left(world) == [f"{upload.id}.mp4"]
    assert await content(world.engine(), upload.id) == DATA


async def test_a_repeated_request_need_not_wait_for_the_sweep(world: World) -> None:
    die_after_put(world, id_of_key("alice", "k"))
    upload = await world.engine().receive(ALICE, film(), Gathered(DATA), key="k")
    assert await content(world.engine(), upload.id) == DATA
    assert left(world) == [f"{upload.id}.mp4"]


async def test_a_repeated_request_goes_on_where_the_first_one_died_in_steps(
    world: World, body: Callable[[bytes], Bytes]
) -> None:
    upload_id, engine = id_of_key("alice", "k"), world.engine()
    await engine._creating.create(upload_id, ALICE, film(), may_wait=False)
    assert await world.engine().repeated(ALICE, "unknown") is None
    upload = await world.engine().receive(ALICE, film(), body(DATA), key="k")
    assert upload.id == upload_id
    assert await content(world.engine(), upload.id) == DATA
    assert left(world) == [f"{upload.id}.mp4"]


# Idempotency keys.


async def test_a_repeated_request_gets_the_answer_of_the_first(
    world: World, body: Callable[[bytes], Bytes]
) -> None:
    engine = world.engine()
    first = await engine.receive(ALICE, film(fingerprint="f"), body(DATA), key="k")
    for kind in (Bytes, Gathered):
        again = await world.engine().receive(ALICE, film(fingerprint="f"), kind(DATA), key="k")
        assert again == first
    assert await engine.repeated(ALICE, "k") == first
    assert left(world) == [f"{first.id}.mp4"]
    assert len(await world.catalog.assessments()) == 1
    other = await engine.receive(ALICE, film(), body(DATA), key="another")
    theirs = await engine.receive(BOB, film(), body(DATA), key="k")
    assert len({first.id, other.id, theirs.id}) == 3
    assert await engine.repeated(BOB, "another") is None


async def test_a_key_is_of_one_file(world: World, body: Callable[[bytes], Bytes]) -> None:
    engine = world.engine()
    first = await engine.receive(ALICE, film(), body(DATA), key="k")
    with pytest.raises((LengthMismatch, DigestDiffers)):
        await engine.receive(ALICE, film(5), body(b"other"), key="k")
    same_length = DATA[::-1]
    digest = Digest.of_crc(crc64(same_length))
    with pytest.raises(DigestDiffers):
        await engine.receive(ALICE, film(), body(same_length), key="k", digest=digest)
    with pytest.raises(DigestDiffers):
        await engine.receive(ALICE, Create("b.mov", len(DATA)), Gathered(same_length), key="k")
    assert left(world) == [f"{first.id}.mp4"]
    assert await content(engine, first.id) == DATA


async def test_a_repeated_request_is_busy_while_the_first_goes_on(
    world: World, body: Callable[[bytes], Bytes]
) -> None:
    first, found = Held(DATA), list[Upload]()
    engine, other = world.engine(), world.engine()

    async def receive() -> None:
        found.append(await engine.receive(ALICE, film(), first, key="k"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await first.begun.wait()
        for process in (engine, other):
            with pytest.raises(Busy):
                await process.receive(ALICE, film(), body(DATA), key="k")
            with pytest.raises(Busy):
                await process.repeated(ALICE, "k")
        first.let_go.set()
    assert await other.receive(ALICE, film(), body(DATA), key="k") == found[0]
    assert await content(engine, found[0].id) == DATA


class Meanwhile:
    """A catalog in which another request comes just after one has found nothing."""

    def __init__(self, catalog: Any, other: Callable[[], Awaitable[None]]) -> None:
        self._catalog = catalog
        self._other = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    async def load(self, upload_id: str) -> Upload:
        try:
            found: Upload = await self._catalog.load(upload_id)
        except UploadNotFound:
            await self._other()
            raise
        return found


async def test_of_two_requests_with_a_key_the_one_at_once_gives_way_to_the_one_in_steps(
    world: World,
) -> None:
    refused = list[Busy]()

    async def at_once() -> None:
        with pytest.raises(Busy) as busy:
            await world.engine().receive(ALICE, film(), Gathered(DATA), key="k")
        refused.append(busy.value)

    catalog: Any = Meanwhile(world.catalog, at_once)
    upload = await world.engine(catalog=catalog).receive(ALICE, film(), Bytes(DATA), key="k")
    assert refused
    assert await content(world.engine(), upload.id) == DATA
    assert left(world) == [f"{upload.id}.mp4"]
    assert await world.engine().receive(ALICE, film(), Gathered(DATA), key="k") == upload


async def test_a_key_is_locked_until_its_file_is_recorded_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = f"receiving/{id_of_key('alice', 'k')}"
    submit, taken = world.catalog.submit_create, list[object]()

    def submit_create(*args: Any) -> Any:
        taken.append(world.locks.take(lock))
        return submit(*args)

    monkeypatch.setattr(world.catalog, "submit_create", submit_create)
    await world.engine().receive(ALICE, film(), Gathered(DATA), key="k")
    assert taken == [None]
    free = world.locks.take(lock)
    assert free is not None
    with free:
        pass


@pytest.mark.disk_only
async def test_a_repeated_request_is_busy_while_another_process_holds_the_file(
    world: World,
) -> None:
    bringing = world.storage.put(id_of_key("alice", "k"), ".mp4", [memoryview(DATA)])
    with bringing, pytest.raises(Busy):
        await world.engine().receive(ALICE, film(), Gathered(DATA), key="k")
    upload = await world.engine().receive(ALICE, film(), Gathered(DATA), key="k")
    assert await content(world.engine(), upload.id) == DATA


async def test_a_key_whose_upload_has_ended_is_gone(
    world: World, body: Callable[[bytes], Bytes]
) -> None:
    engine, first = world.engine(), Held(DATA)

    async def receive() -> None:
        with pytest.raises(UploadError):
            await engine.receive(ALICE, film(), first, key="k")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await first.begun.wait()
        await world.catalog.update(
            id_of_key("alice", "k"), lambda u: u.fail("content-refused", 1.0)
        )
        first.let_go.set()
    with pytest.raises(UploadGone):
        await engine.receive(ALICE, film(), body(DATA), key="k")
    with pytest.raises(UploadGone):
        await engine.repeated(ALICE, "k")


async def test_a_key_still_has_its_answer_when_the_file_is_deleted(
    world: World, body: Callable[[bytes], Bytes]
) -> None:
    engine = limited(world, assessment=False)
    first = await engine.receive(ALICE, film(), body(DATA), key="k")
    await engine.discard(ALICE, first.id)
    again = await engine.receive(ALICE, film(), body(DATA), key="k")
    assert (again.id, again.discarded_at) == (first.id, world.now)
    assert left(world) == []
