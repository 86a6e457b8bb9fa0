"""What nobody comes back for is deleted; what somebody may come back for is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.engine.conftest import ALICE, World, created, written

from wherry.core.errors import UploadNotFound
from wherry.core.upload import State
from wherry.engine import Hooks
from wherry.engine.sweeping import ORPHAN_GRACE

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
    assert list((world.settings.data / "temp_chunks").iterdir()) == []


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
    folder = world.settings.data / "temp_chunks" / ("a" * 32)
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
    assert (await later.finished(ALICE, upload.id))[1].read_bytes() == b"film"


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
    assert list((settings.data / "files").iterdir()) == []
    assert precious.is_dir()


async def test_the_pictures_of_a_deleted_file_are_deleted_with_it(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, 4)
    await written(engine, upload, 0, b"film")
    done = await engine.complete(ALICE, upload.id)
    pictures = world.settings.pictures_of(done.assessment_id or "")
    pictures.mkdir(parents=True)
    (pictures / "poster.jpg").write_bytes(b"picture")
    await engine.discard(ALICE, upload.id)
    assert not pictures.exists()
