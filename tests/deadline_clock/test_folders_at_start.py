"""A server that starts while a folder is away decides nothing about the uploads in it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from tests.engine.conftest import ALICE, Bytes, created, settings_in, started, written

from wherry.app import App
from wherry.app.checking import check_start, check_storage
from wherry.core.requests import Write
from wherry.core.upload import State, Upload
from wherry.settings import Settings
from wherry.storage.folders import RECORD, FolderAway
from wherry.storage.local import LocalStorage

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path / "data", assessment=False)


@pytest.fixture
async def half(settings: Settings) -> Upload:
    """Two of its four bytes have come. Beside it, `whole` is complete."""
    async with started(settings) as engine:
        whole = await created(engine, 5)
        await written(engine, whole, 0, b"whole")
        await engine.complete(ALICE, whole.id)
        upload = await created(engine, 4)
        return await written(engine, upload, 0, b"fi")


@contextmanager
def away(path: Path, is_replaced: bool) -> Iterator[None]:
    aside = path.with_name("aside")
    path.rename(aside)
    if is_replaced:
        path.mkdir()
    yield
    if is_replaced:
        path.rmdir()
    assert not path.exists()
    aside.rename(path)


@pytest.mark.parametrize("is_replaced", [False, True], ids=["missing", "replaced"])
@pytest.mark.parametrize("name", ["temp_chunks", "files"])
async def test_no_start_takes_another_folder_for_the_one_with_the_uploads(
    settings: Settings, half: Upload, name: str, is_replaced: bool
) -> None:
    with away(settings.data / name, is_replaced):
        for _ in range(2):
            with pytest.raises(FolderAway, match=r"Mount it or move it back.*on purpose"):
                await App(settings).engine()
        with pytest.raises(FolderAway):
            async with App(settings).beside():
                pass
    async with started(settings) as engine:
        assert await engine.sweep() == []
        await engine.write(ALICE, Write(half.id, 2), Bytes(b"lm"))
        done = await engine.complete(ALICE, half.id)
        for upload in await engine.uploads(ALICE, {State.COMPLETE}):
            _, _, found = await engine.finished(ALICE, upload.id)
            assert found.size == upload.length
        assert done.state is State.COMPLETE


@pytest.mark.parametrize("is_replaced", [False, True], ids=["missing", "replaced"])
def test_the_server_refuses_before_anything_is_started(
    settings: Settings, is_replaced: bool
) -> None:
    async def upload() -> None:
        async with started(settings) as engine:
            await written(engine, await created(engine, 4), 0, b"fi")

    asyncio.run(upload())
    with (
        away(settings.data / "temp_chunks", is_replaced),
        pytest.raises(FolderAway, match="Mount it"),
    ):
        check_storage(settings)
    check_storage(settings)


@pytest.mark.parametrize("name", ["temp_chunks", "files"])
async def test_a_worker_takes_no_other_folder_either(
    settings: Settings, half: Upload, name: str
) -> None:
    with away(settings.data / name, is_replaced=True), pytest.raises(FolderAway):
        LocalStorage(settings.data).present()
    LocalStorage(settings.data).present()


async def test_what_was_deleted_in_the_folder_while_no_server_ran_is_deleted(
    settings: Settings, half: Upload
) -> None:
    shutil.rmtree(settings.data / "temp_chunks" / half.id)
    async with started(settings) as engine:
        await engine.sweep()  # or the sweep at the start was faster, and is still at it
        with anyio.fail_after(60):
            while not (expired := await engine.uploads(ALICE, {State.EXPIRED})):
                await anyio.sleep(0.02)
        assert [upload.id for upload in expired] == [half.id]


async def test_a_folder_that_was_deleted_on_purpose_is_made_again_once_its_record_is_deleted(
    settings: Settings, half: Upload
) -> None:
    shutil.rmtree(settings.data / "temp_chunks")
    with pytest.raises(FolderAway, match=f"delete {RECORD}"):
        await App(settings).engine()
    (settings.data / RECORD).unlink()
    async with started(settings) as engine:
        assert (await engine.status(ALICE, half.id)).state is State.EXPIRED
        await written(engine, await created(engine, 4), 0, b"film")


async def test_a_folder_whose_uploads_have_all_ended_may_be_missing(
    settings: Settings, half: Upload
) -> None:
    async with started(settings) as engine:
        await engine.cancel(ALICE, half.id)
        await created(engine, 4)  # it has no bytes that could be missing
    shutil.rmtree(settings.data / "temp_chunks")
    async with started(settings) as engine:
        assert await engine.unready() == ()


async def test_all_may_be_deleted_with_the_catalog(settings: Settings, half: Upload) -> None:
    for name in ("temp_chunks", "files"):
        shutil.rmtree(settings.data / name)
    for path in settings.data.glob("catalog.sqlite*"):
        path.unlink()
    async with started(settings) as engine:
        assert await engine.uploads(ALICE) == []


async def test_a_restored_backup_has_other_folders_with_the_same_uploads(
    settings: Settings, half: Upload, tmp_path: Path
) -> None:
    shutil.copytree(settings.data, tmp_path / "restored")
    restored = settings_in(tmp_path / "restored", assessment=False)
    assert LocalStorage(restored.data).unfamiliar() == ["temp_chunks", "files"]
    async with started(restored) as engine:
        await engine.write(ALICE, Write(half.id, 2), Bytes(b"lm"))
        assert (await engine.complete(ALICE, half.id)).state is State.COMPLETE
    assert LocalStorage(restored.data).unfamiliar() == []


async def test_a_folder_that_was_deleted_while_a_server_ran_is_known_at_the_next_start(
    settings: Settings, half: Upload
) -> None:
    async with started(settings) as engine, started(settings) as other:
        shutil.rmtree(settings.data / "temp_chunks")
        for one in (engine, other):
            await written(one, await created(one, 4), 0, b"fi")
    # Emptied again: nothing but the record says that it is the right one.
    for path in (settings.data / "temp_chunks").iterdir():
        shutil.rmtree(path)
    async with started(settings) as engine:
        assert await engine.unready() == ()


async def test_a_record_of_the_folders_that_cannot_be_read_is_an_error(settings: Settings) -> None:
    async with started(settings):
        pass
    (settings.data / RECORD).write_text("[")
    with pytest.raises(OSError, match="Delete it if temp_chunks and files are in place"):
        await check_start(settings)
