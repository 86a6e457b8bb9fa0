"""What nobody comes back for is deleted; what somebody may come back for is not."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import Any

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

from wherry.app.backends import open_catalog, open_storage
from wherry.catalog import pages
from wherry.catalog.sql import queries
from wherry.catalog.sql.rows import upload_of
from wherry.core.errors import NotThere, UploadNotFound
from wherry.core.requests import Create, id_of_key
from wherry.core.upload import State, Upload
from wherry.core.webhooks import Outbox
from wherry.engine import Hooks, Swept
from wherry.engine.sweeping import ORPHAN_GRACE
from wherry.testing.catalog.many import fill

pytestmark = pytest.mark.anyio

DAY = 24 * 3600.0


async def test_an_upload_expires_a_day_after_its_last_byte(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, 100)
    world.now += DAY - 1
    await written(engine, upload, 0, b"x" * 50)
    world.now += DAY - 1
    assert await engine.sweep() == []
    world.now += 1
    [swept] = await engine.sweep()
    assert (swept.action, swept.upload_id, swept.bytes) == ("expire", upload.id, 100)
    assert (await engine.status(ALICE, upload.id)).state is State.EXPIRED
    assert world.leftovers() == []


async def test_a_dry_run_says_what_would_be_deleted_and_deletes_nothing(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, 100)
    world.now += DAY
    would = await engine.sweep(dry_run=True)
    assert (await engine.status(ALICE, upload.id)).state is State.RECEIVING
    assert await engine.sweep() == would


async def test_a_folder_without_a_record_is_given_an_hour(world: World) -> None:
    engine = world.engine()
    world.storage.reserve("a" * 32, 10)
    folder = world.temp_chunks / ("a" * 32)
    os.utime(folder, (world.now, world.now))
    os.utime(folder / "data", (world.now, world.now))
    assert await engine.sweep() == []
    world.now += ORPHAN_GRACE + 1
    [swept] = await engine.sweep()
    assert swept.action == "orphan"
    assert not folder.exists()


async def test_a_record_of_what_ended_is_forgotten_after_a_week(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, 100)
    await engine.cancel(ALICE, upload.id)
    world.now += world.settings.keep_records + 1
    assert [swept.action for swept in await engine.sweep()] == ["forget"]
    with pytest.raises(UploadNotFound):
        await engine.status(ALICE, upload.id)


async def test_a_file_is_not_deleted_before_it_is_assessed(world: World) -> None:
    settings = world.settings.model_copy(update={"keep_files": 10.0})
    engine = World(world.storage, world.catalog, settings, world.now, world.ids).engine()
    upload = await created(engine, 4)
    await written(engine, upload, 0, b"film")
    await engine.complete(ALICE, upload.id)
    later = World(world.storage, world.catalog, settings, world.now + 60, world.ids).engine()
    assert await later.sweep() == []
    assert await content(later, upload.id) == b"film"


async def test_a_file_that_the_host_assesses_is_deleted_when_its_time_is_up(
    world: World, tmp_path: Path
) -> None:
    settings = world.settings.model_copy(update={"keep_files": 10.0})
    mine = World(world.storage, world.catalog, settings, world.now, world.ids)
    precious = tmp_path / "precious"
    precious.mkdir()
    engine = mine.engine(hooks=Hooks(on_complete=lambda file: "../precious"))
    upload = await created(engine, 4)
    await written(engine, upload, 0, b"film")
    await engine.complete(ALICE, upload.id)
    mine.now += 60
    assert [swept.action for swept in await engine.sweep()] == ["discard"]
    assert mine.stored() == []
    assert precious.is_dir()


async def test_the_pictures_of_a_deleted_file_are_deleted_with_it(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, 4)
    await written(engine, upload, 0, b"film")
    done = await engine.complete(ALICE, upload.id)
    assessment_id = done.assessment_id or ""
    world.storage.pictures.put(assessment_id, "poster.jpg", b"picture")
    picture, _ = await engine.picture(ALICE, assessment_id, "poster.jpg")
    assert picture.stat() is not None
    await engine.discard(ALICE, upload.id)
    assert picture.stat() is None
    assert picture.local_path is None or not picture.local_path.parent.exists()
    with pytest.raises(NotThere):
        await engine.picture(ALICE, assessment_id, "poster.jpg")


async def test_what_is_due_is_found_on_every_page(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "BATCH", 2)
    engine = world.engine()
    uploads = [await created(engine, 2) for _ in range(8)]
    for upload in uploads:
        await written(engine, upload, 0, b"x")
    expired, cancelled = [u.id for u in uploads[:3]], [u.id for u in uploads[3:]]
    for upload_id in cancelled:
        await engine.cancel(ALICE, upload_id)
    world.now += world.settings.keep_records + 1
    young = await created(engine, 1)
    swept = [(found.action, found.upload_id) for found in await engine.sweep()]
    assert swept[:3] == [("expire", upload_id) for upload_id in expired]
    assert sorted(swept[3:]) == [("forget", upload_id) for upload_id in sorted(cancelled + expired)]
    assert [upload.id for upload in await world.catalog.uploads()] == [young.id]


@pytest.mark.sqlite_only
async def test_a_sweep_reads_no_record_that_is_not_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "catalog.sqlite"
    fill(path, 300, ended=1_000_000.0)
    settings = settings_in(tmp_path, keep_files=DAY, keep_complete_records=DAY)
    catalog = open_catalog(settings)
    world = World(open_storage(settings), catalog, settings, ids=count(300))
    engine = world.engine()
    fresh = await created(engine, 10)
    await written(engine, fresh, 0, b"12345")
    await catalog.update(f"{0:032x}", lambda u: u.discard(world.now - DAY))
    read: list[str] = []

    def noted(row: Any, *more: Any) -> Upload:
        read.append(row[0])
        return upload_of(row, *more)

    monkeypatch.setattr(queries, "upload_of", noted)
    assert [(s.action, s.upload_id) for s in await engine.sweep()] == [("forget", f"{0:032x}")]
    assert set(read) <= {f"{0:032x}"}
    await catalog.close()


async def test_a_removed_folder_is_found_by_the_sweep(world: World) -> None:
    engine = world.engine()
    kept, removed, emptied, empty = [await created(engine, 10) for _ in range(4)]
    for upload in (kept, removed, emptied):
        await written(engine, upload, 0, b"12345")
    places = world.temp_chunks
    rmtree(places / removed.id)
    (places / emptied.id / "data").unlink()
    rmtree(places / empty.id)  # it had no byte to lose
    swept = {(s.action, s.upload_id) for s in await engine.sweep()}
    assert ("vanish", removed.id) in swept
    assert ("vanish", emptied.id) in swept
    assert not [s for s in swept if s[1] in (kept.id, empty.id)]


async def completed(world: World, **changes: Any) -> tuple[World, Upload]:
    """A complete upload with a finished assessment, in a world with these settings."""
    settings = world.settings.model_copy(update=changes)
    mine = World(world.storage, world.catalog, settings, world.now, world.ids)
    engine = mine.engine()
    upload = await created(engine, 4)
    await written(engine, upload, 0, b"film")
    done = await engine.complete(ALICE, upload.id)
    await mine.catalog.lease_assessment(mine.now, lambda a: a.lease("w", mine.now, mine.now + 9))
    await mine.catalog.update_assessment(
        done.assessment_id or "", lambda a: a.finish("w", mine.now, {"verdict": "pass"})
    )
    return mine, done


async def test_a_complete_upload_is_remembered_for_ever_by_default(world: World) -> None:
    mine, upload = await completed(world, keep_files=DAY)
    mine.now += DAY
    assert [swept.action for swept in await mine.engine().sweep()] == ["discard"]
    mine.now += 10_000 * DAY
    assert await mine.engine().sweep() == []
    assert (await mine.engine().complete(ALICE, upload.id)).assessment_id == upload.assessment_id


async def test_a_complete_upload_is_forgotten_some_time_after_its_file(world: World) -> None:
    mine, upload = await completed(world, keep_files=DAY, keep_complete_records=2 * DAY)
    engine = mine.engine()
    mine.now += DAY
    assert [swept.action for swept in await engine.sweep()] == ["discard"]
    mine.now += 2 * DAY - 1
    assert await engine.sweep() == []
    assert (await engine.complete(ALICE, upload.id)).is_complete()  # asked again, the same
    mine.now += 1
    would = await engine.sweep(dry_run=True)
    assert (await engine.status(ALICE, upload.id)).is_complete()
    assert await engine.sweep() == would == [Swept("forget", upload.id, 0)]
    with pytest.raises(UploadNotFound):
        await engine.complete(ALICE, upload.id)
    with pytest.raises(NotThere):
        await engine.assessment(ALICE, upload.assessment_id or "")


async def test_a_complete_upload_is_never_forgotten_while_its_file_is_there(world: World) -> None:
    mine, upload = await completed(world, keep_complete_records=1.0)
    mine.now += 10_000 * DAY
    assert await mine.engine().sweep() == []
    assert await content(mine.engine(), upload.id) == b"film"


class Meanwhile:
    """A catalog in which something happens as soon as `method` has read."""

    def __init__(self, catalog: Any, method: str, event: Callable[[], Awaitable[None]]) -> None:
        self._catalog = catalog
        self._method = method
        self._event: Callable[[], Awaitable[None]] | None = event

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._catalog, name)
        if name != self._method:
            return found

        async def read(*args: Any) -> Any:
            result = await found(*args)
            if result and self._event is not None:
                event, self._event = self._event, None
                await event()
            return result

        return read


async def received(world: World, data: bytes = b"film") -> Upload:
    """A file that one request with the key `k` has brought."""
    create = Create("film.mp4", len(data))
    return await world.engine().receive(ALICE, create, Gathered(data), key="k")


async def has_ended(world: World) -> None:
    """The key `k` belongs to an upload that was cancelled long ago, and left a folder."""
    engine, upload_id = world.engine(), id_of_key("alice", "k")
    await engine._creating.create(upload_id, ALICE, Create("film.mp4", 4), may_wait=False)
    await engine.cancel(ALICE, upload_id)
    world.storage.reserve(upload_id, 4)
    world.now += world.settings.keep_records + 1


async def has_a_file(world: World) -> None:
    """The key `k` belongs to a file whose time is up."""
    world.settings = world.settings.model_copy(update={"keep_files": DAY, "assessment": False})
    await received(world)
    world.now += DAY


async def has_no_file(world: World) -> None:
    """The key `k` belongs to a file that was deleted long ago."""
    changes = {"assessment": False, "keep_complete_records": DAY}
    world.settings = world.settings.model_copy(update=changes)
    upload = await received(world)
    await world.engine().discard(ALICE, upload.id)
    world.now += DAY


async def has_lost_its_folder(world: World) -> None:
    """A request with the key `k` has died, and its folder was removed."""
    engine, upload_id = world.engine(), id_of_key("alice", "k")
    upload, _ = await engine._creating.create(
        upload_id, ALICE, Create("film.mp4", 4), may_wait=False
    )
    await written(engine, upload, 0, b"fi")
    world.lose(upload_id)


#: What the sweep does: what it meets, what it reads of it first, and what it then does.
REMOVALS = [
    pytest.param(has_ended, "load", "orphan", id="orphan"),
    pytest.param(has_ended, "due", "forget", id="forget-gone"),
    pytest.param(has_a_file, "due_files", "discard", id="discard"),
    pytest.param(has_no_file, "due_records", "forget", id="forget-complete"),
    pytest.param(has_lost_its_folder, "load", "vanish", id="vanish"),
]
Prepare = Callable[[World], Awaitable[None]]


@pytest.mark.parametrize(("prepare", "method", "_"), REMOVALS)
async def test_nothing_is_removed_of_an_upload_that_has_come_back_meanwhile(
    world: World, prepare: Prepare, method: str, _: str
) -> None:
    upload_id = id_of_key("alice", "k")

    async def come_back() -> None:
        """Another process forgets the upload, and its client repeats the request."""
        world.storage.delete(upload_id)
        world.storage.discard(upload_id, ".mp4")
        await world.catalog.forget([upload_id])
        await received(world, b"another film")

    await prepare(world)
    catalog: Any = Meanwhile(world.catalog, method, come_back)
    await world.engine(catalog=catalog).sweep()
    assert catalog._event is None
    assert await content(world.engine(), upload_id) == b"another film"
    assert await received(world, b"another film") == await world.catalog.load(upload_id)


@pytest.mark.parametrize(("prepare", "_", "action"), REMOVALS)
async def test_nothing_is_removed_of_an_upload_while_a_request_has_its_key(
    world: World, prepare: Prepare, _: str, action: str
) -> None:
    await prepare(world)
    lock = world.locks.take(f"receiving/{id_of_key('alice', 'k')}")
    assert lock is not None
    with lock:
        assert await world.engine().sweep() == []
    assert action in [swept.action for swept in await world.engine().sweep()]


async def test_a_webhook_is_forgotten_some_time_after_it_has_ended(world: World) -> None:
    world.catalog.announce_to(Outbox(("https://a.example",), lambda: 1.0, lambda: "1"))
    upload = await created(world.engine(), 3)
    await written(world.engine(), upload, 0, b"abc")
    await world.engine().complete(ALICE, upload.id)
    [delivery] = await world.catalog.deliveries()
    world.now += world.settings.keep_records + 1
    await world.engine().sweep()
    assert await world.catalog.deliveries() == [delivery]  # it is still to be sent
    now = world.now
    await world.catalog.update_delivery(delivery.id, lambda d: d.give_up(now, "not wanted"))
    world.now += world.settings.keep_records - 1
    await world.engine().sweep()
    assert len(await world.catalog.deliveries()) == 1
    world.now += 1
    await world.engine().sweep(dry_run=True)
    assert len(await world.catalog.deliveries()) == 1
    await world.engine().sweep()
    assert await world.catalog.deliveries() == []
