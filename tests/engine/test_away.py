"""While a folder is away, nothing is decided about what was in it; then everything goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.engine.conftest import ALICE, Bytes, World, content, created, settings_in, written

from wherry.app.backends import open_catalog
from wherry.app.checking import check_storage
from wherry.core.errors import NotThere, StorageFailed
from wherry.core.requests import Write
from wherry.core.upload import State
from wherry.engine import watching

pytestmark = [pytest.mark.anyio, pytest.mark.disk_only, pytest.mark.usefixtures("route")]

DAY = 24 * 3600.0


@pytest.fixture(autouse=True)
def look_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MAX_AGE", 0.0)


@contextmanager
def away(path: Path, is_replaced: bool) -> Iterator[None]:
    aside = path.with_name("aside")
    path.rename(aside)
    if is_replaced:
        path.mkdir()
    yield
    if is_replaced:
        assert list(path.iterdir()) == []
        path.rmdir()
    aside.rename(path)


@pytest.mark.parametrize("is_replaced", [False, True], ids=["missing", "replaced"])
async def test_no_upload_ends_while_the_folder_of_unfinished_bytes_is_away(
    world: World, is_replaced: bool
) -> None:
    engine = world.engine()
    half, whole, fresh = [await created(engine, 4) for _ in range(3)]
    await written(engine, half, 0, b"fi")
    await written(engine, whole, 0, b"film")
    with away(world.temp_chunks, is_replaced):
        [problem] = await engine.unready()
        assert "away" in problem
        world.now += DAY
        with pytest.raises(StorageFailed, match="away"):
            await engine.sweep()
        for act in (
            engine.status(ALICE, half.id),
            engine.write(ALICE, Write(half.id, 2), Bytes(b"lm")),
            engine.write(ALICE, Write(fresh.id, 0), Bytes(b"film")),
            engine.complete(ALICE, whole.id),
            created(engine, 4),
        ):
            with pytest.raises(StorageFailed, match="away"):
                await act
        states = {u.id: u.state for u in await world.catalog.uploads()}
        assert set(states.values()) == {State.RECEIVING}
    world.now -= DAY
    assert await engine.unready() == ()
    assert await engine.sweep() == []
    await written(engine, half, 2, b"lm")
    await written(engine, fresh, 0, b"film")
    for upload in (half, whole, fresh):
        done = await engine.complete(ALICE, upload.id)
        assert world.finished(done).read_bytes() == b"film"


async def test_nobody_misses_a_turn_while_no_bytes_can_be_taken(world: World) -> None:
    world.settings = settings_in(world.settings.data, max_open=1)
    engine = world.engine()
    admitted, waiting = [await created(engine, 4) for _ in range(2)]
    with away(world.temp_chunks, is_replaced=False):
        world.now += 2 * world.settings.turn
        with pytest.raises(StorageFailed):
            await engine.advance()
    states = {u.id: u.state for u in await world.catalog.uploads()}
    assert states == {admitted.id: State.RECEIVING, waiting.id: State.WAITING}


async def test_a_cancel_while_the_bytes_are_away_frees_them_when_they_are_back(
    world: World,
) -> None:
    engine = world.engine()
    upload = await created(engine, 4)
    chunks = world.temp_chunks
    with away(chunks, is_replaced=False), pytest.raises(StorageFailed):
        await engine.cancel(ALICE, upload.id)
    assert (await engine.cancel(ALICE, upload.id)).state is State.CANCELLED
    assert list(world.storage.unfinished()) == []


@pytest.mark.parametrize("is_replaced", [False, True], ids=["missing", "replaced"])
async def test_a_finished_file_is_not_gone_while_its_folder_is_away(
    world: World, is_replaced: bool
) -> None:
    world.settings = settings_in(world.settings.data, assessment=False, keep_files=10.0)
    engine = world.engine()
    upload = await created(engine, 4)
    await written(engine, upload, 0, b"film")
    await engine.complete(ALICE, upload.id)
    with away(world.files, is_replaced):
        [problem] = await engine.unready()
        assert "away" in problem
        world.now += 60
        for act in (
            engine.finished(ALICE, upload.id),
            engine.discard(ALICE, upload.id),
            engine.sweep(),
        ):
            with pytest.raises(StorageFailed, match="away"):
                await act
        assert (await world.catalog.load(upload.id)).discarded_at is None
    assert await content(engine, upload.id) == b"film"
    assert [swept.action for swept in await engine.sweep()] == ["discard"]
    with pytest.raises(NotThere):
        await engine.finished(ALICE, upload.id)


async def test_a_finished_file_that_was_deleted_is_gone(world: World) -> None:
    engine = world.engine()
    upload = await created(engine, 4)
    await written(engine, upload, 0, b"film")
    await engine.complete(ALICE, upload.id)
    world.finished(upload).unlink()
    with pytest.raises(NotThere):
        await engine.finished(ALICE, upload.id)
    assert await engine.unready() == ()


@pytest.mark.sqlite_only
@pytest.mark.parametrize("is_finished", [False, True], ids=["unfinished", "finished"])
async def test_no_new_catalog_is_made_beside_uploads_that_it_would_not_know(
    world: World, is_finished: bool
) -> None:
    """Their bytes would be orphans, and deleted after an hour."""
    engine = world.engine()
    upload = await created(engine, 4)
    await written(engine, upload, 0, b"film")
    if is_finished:
        await engine.complete(ALICE, upload.id)
    await world.catalog.close()
    path = world.settings.data / "catalog.sqlite"
    with away(path, is_replaced=False):
        for start in (open_catalog, check_storage):
            with pytest.raises(FileNotFoundError, match="catalog is missing"):
                start(world.settings)
        assert not path.exists()
    again = open_catalog(world.settings)
    assert (await again.load(upload.id)).received.size == 4
    await again.close()
