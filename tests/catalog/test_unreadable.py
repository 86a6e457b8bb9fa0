"""A record that cannot be read takes no other with it, and never counts as absent."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engine.conftest import ALICE, World, created, settings_in, written

from wherry.app.backends import open_catalog, open_storage
from wherry.catalog.sql import unreadable
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.assessment import Assessment
from wherry.core.errors import StorageFailed
from wherry.core.upload import State, Upload

pytestmark = pytest.mark.anyio

DAMAGES = {
    "json": "UPDATE uploads SET metadata = '{' WHERE id = :id",
    "digest": "UPDATE uploads SET digest = 'md5=no' WHERE id = :id",
    "lease": "INSERT INTO leases VALUES (:id, 9, 3, 'token', 0)",
}


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(unreadable, "_logged", set())
    settings = settings_in(tmp_path, max_open=1, keep_files=10.0)
    world = World(open_storage(settings), open_catalog(settings), settings)
    yield world
    await world.catalog.close()


def damage(world: World, statement: str, id_: str) -> None:
    """As somebody does who edits the database by hand."""
    with sqlite3.connect(world.settings.data / "catalog.sqlite") as database:
        assert database.execute(statement, {"id": id_}).rowcount == 1
    database.close()


@pytest.mark.parametrize("statement", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_list_shows_all_others_and_logs_the_one_once(
    world: World, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.settings = settings_in(world.settings.data)
    engine = world.engine()
    first, broken, last = [await created(engine, 4) for _ in range(3)]
    damage(world, statement, broken.id)
    for _ in range(3):
        assert [upload.id for upload in await engine.uploads(ALICE)] == [first.id, last.id]
    told = [record for record in caplog.records if broken.id in record.getMessage()]
    assert [record.levelno for record in told if record.name == "wherry.catalog"] == [logging.ERROR]
    with pytest.raises(StorageFailed, match="cannot be read"):
        await engine.status(ALICE, broken.id)


async def test_the_sweep_goes_on_and_deletes_no_bytes_of_the_one(world: World) -> None:
    world.settings = settings_in(world.settings.data, keep_files=10.0)
    engine = world.engine()
    first, broken, last = [await created(engine, 4) for _ in range(3)]
    for upload in (first, broken, last):
        await written(engine, upload, 0, b"fi")
    damage(world, DAMAGES["json"], broken.id)
    world.now += 2 * world.settings.expires_after
    assert {swept.upload_id for swept in await engine.sweep()} == {first.id, last.id}
    world.now += 2 * world.settings.expires_after
    await engine.sweep()
    assert [id_ for id_, _ in world.storage.unfinished()] == [broken.id]


async def test_writes_of_others_in_the_same_transaction_are_recorded(world: World) -> None:
    world.settings = settings_in(world.settings.data)
    engine = world.engine()
    broken, other = [await created(engine, 4) for _ in range(2)]
    await world.catalog.close()  # what it remembers of the record is not what is there
    damage(world, DAMAGES["json"], broken.id)
    world.catalog = catalog = open_catalog(world.settings)
    failed, changed = await asyncio.gather(
        *(catalog.update(u.id, lambda u: u.declare_length(4)) for u in (broken, other)),
        return_exceptions=True,
    )
    assert isinstance(failed, StorageFailed)
    assert isinstance(changed, Upload)


async def test_one_in_the_queue_holds_up_nobody_behind_it(world: World) -> None:
    engine = world.engine()
    open_, broken, last = [await created(engine, 4) for _ in range(3)]
    damage(world, DAMAGES["json"], broken.id)
    await engine.cancel(ALICE, open_.id)
    await engine.advance()
    assert (await engine.status(ALICE, last.id)).state is State.RECEIVING


async def test_a_worker_gets_the_next_assessment_where_the_oldest_cannot_be_read(
    world: World,
) -> None:
    engine = world.engine()
    uploads = []
    for _ in range(4):
        upload = await created(engine, 4)
        await written(engine, upload, 0, b"film")
        uploads.append(await engine.complete(ALICE, upload.id))
        world.now += 1
    queued, running, left, last = [upload.assessment_id or "" for upload in uploads]
    for id_ in (running, left):
        await world.catalog.update_assessment(id_, lambda a: a.lease("dead", 0.0, 1.0))
    for id_ in (queued, running):
        damage(world, "UPDATE assessments SET steps = '[{' WHERE id = :id", id_)
    assert [a.id for a in await world.catalog.assessments()] == [left, last]

    def take(assessment: Assessment) -> Assessment:
        return assessment.lease("mine", 100.0, 110.0)

    found = [await world.catalog.lease_assessment(100.0, take) for _ in range(3)]
    assert [a and a.id for a in found] == [left, last, None]
    with pytest.raises(StorageFailed, match="cannot be read"):
        await engine.assessment(ALICE, queued)


async def test_a_file_that_is_no_database_is_said_so_on_new_connections_too(
    tmp_path: Path,
) -> None:
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite")
    for file in tmp_path.glob("catalog.sqlite*"):
        # In place: the kernel ends a process that reads behind the end of a file it has mapped.
        with file.open("r+b") as out:
            out.write(b"no database at all" * 1000)
    catalog._readers._drop_idle()
    catalog._writer._disconnect()
    with pytest.raises(StorageFailed, match="not a database"):
        await catalog.load("u")
    with pytest.raises(StorageFailed, match="not a database"):
        await catalog.update("u", lambda u: u)
    await catalog.close()
