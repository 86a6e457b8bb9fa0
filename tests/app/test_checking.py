"""A start with files of another catalog, or with the catalog of other files, changes nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.cli.command import wherry
from tests.engine.conftest import ALICE, created, settings_in, started, written

from wherry.app import App, checking
from wherry.app.backends import open_catalog, unchecked_storage
from wherry.app.checking import check_start
from wherry.catalog import Catalog
from wherry.core.upload import State
from wherry.engine import Engine
from wherry.settings import Settings
from wherry.testing.postgres import Postgres
from wherry.testing.s3 import BUCKET, S3Server

pytestmark = pytest.mark.anyio

Make = Callable[..., Settings]
OTHER_CATALOG = "the files here belong to another catalog"
OTHER_STORAGE = "the uploads of this catalog belong to another storage"


@pytest.fixture(params=["folder", "bucket"])
def make(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    postgres_server: Postgres,
    monkeypatch: pytest.MonkeyPatch,
) -> Make:
    """Settings of a server with the files `files` and the catalog `catalog`: any two names."""
    databases: dict[str, str] = {}
    store: S3Server | None = None
    if request.param == "bucket":
        store = request.getfixturevalue("s3_server")
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)

    def settings(files: str = "one", catalog: str = "one") -> Settings:
        url = databases.setdefault(catalog, "") or postgres_server.new_database()
        databases[catalog] = url
        if store is None:
            return settings_in(tmp_path / files, assessment=False, database=url)
        place = f"s3://{BUCKET}/{tmp_path.name}-{files}"
        return settings_in(
            tmp_path / "data",
            assessment=False,
            database=url,
            storage=place,
            s3_endpoint=store.endpoint,
        )

    return settings


@asynccontextmanager
async def catalog_of(settings: Settings) -> AsyncIterator[Catalog]:
    catalog = open_catalog(settings)
    try:
        yield catalog
    finally:
        await catalog.close()


def options_of(settings: Settings) -> list[object]:
    options: list[object] = ["--data", settings.data, "--database", settings.database]
    if settings.storage is not None:
        options += ["--storage", settings.storage, "--s3-endpoint", settings.s3_endpoint]
    return options


async def half_of(engine: Engine) -> str:
    upload = await created(engine, 4)
    await written(engine, upload, 0, b"fi")
    return upload.id


async def state_of(engine: Engine, upload_id: str) -> State:
    await engine.sweep()
    return (await engine.status(ALICE, upload_id)).state


async def test_an_empty_catalog_is_refused_beside_files_of_another(make: Make) -> None:
    async with started(make()) as engine:
        upload_id = await half_of(engine)
    for _ in range(2):
        with pytest.raises(OSError, match=OTHER_CATALOG):
            await App(make(catalog="new")).engine()
    async with started(make()) as engine:
        assert await state_of(engine, upload_id) is State.RECEIVING


async def test_empty_files_are_refused_beside_the_catalog_of_others(make: Make) -> None:
    async with started(make()) as engine:
        upload_id = await half_of(engine)
    for _ in range(2):
        with pytest.raises(OSError, match=OTHER_STORAGE):
            await App(make(files="new")).engine()
    async with started(make()) as engine:
        assert await state_of(engine, upload_id) is State.RECEIVING


async def test_two_servers_with_one_catalog_need_the_same_files_even_without_uploads(
    make: Make,
) -> None:
    async with started(make()):
        with pytest.raises(OSError, match=OTHER_STORAGE):
            await App(make(files="new")).engine()
        async with started(make()):
            pass


async def test_of_servers_that_start_at_once_with_different_files_all_but_one_are_refused(
    make: Make,
) -> None:
    settings = [make(files=f"f{number}") for number in range(4)]
    await check_start(make(files="f0", catalog="unused"))  # files of another one
    results = await asyncio.gather(*map(check_start, settings), return_exceptions=True)
    assert [type(result) for result in results].count(type(None)) == 1
    again = await asyncio.gather(*map(check_start, settings), return_exceptions=True)
    assert [str(result) for result in again] == [str(result) for result in results]


async def test_of_servers_that_start_at_once_with_the_same_files_none_is_refused(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make()

    def open_late(settings: Settings) -> Catalog:
        """Between two questions of one server, another one starts."""
        monkeypatch.setattr(checking, "open_catalog", open_catalog)
        asyncio.run(check_start(settings))
        return open_catalog(settings)

    monkeypatch.setattr(checking, "open_catalog", open_late)
    await check_start(settings)


async def test_a_crash_after_only_the_files_had_their_record_is_made_good(make: Make) -> None:
    settings = make()
    unchecked_storage(settings).check()
    async with catalog_of(settings) as catalog:
        mine = await catalog.identify("c")
        unchecked_storage(settings).installation.write(mine.join("s"))
    for _ in range(2):
        await check_start(settings)
    async with catalog_of(settings) as catalog:
        assert await catalog.identify("d") == mine.join("s")


async def test_a_worker_refuses_files_of_another_catalog(make: Make) -> None:
    await check_start(make())
    refused = await asyncio.to_thread(wherry, "worker", *options_of(make(catalog="new")), code=1)
    assert OTHER_CATALOG in refused.stderr


async def test_files_are_adopted_by_a_command(make: Make, tmp_path: Path) -> None:
    async with started(make()) as engine:
        await half_of(engine)
        # The locks are in the folder, or in the database.
        other = make(catalog="new") if make().storage is None else make(files="new")
        refused = await asyncio.to_thread(wherry, "storage", "adopt", *options_of(other), code=1)
        assert "a server is running" in refused.stderr
    settings = make(catalog="new")
    printed = await asyncio.to_thread(wherry, "storage", "adopt", *options_of(settings))
    assert "belong to this catalog now" in printed.stdout
    assert "knows 0 uploads with files, of which 0 are missing" in printed.stdout
    async with started(settings) as engine:
        assert await engine.uploads(ALICE) == []
    with pytest.raises(OSError, match=OTHER_CATALOG):
        await App(make()).engine()


async def test_adopting_says_how_many_files_are_missing(make: Make) -> None:
    async with started(make()) as engine:
        await half_of(engine)
        whole = await created(engine, 5)
        await written(engine, whole, 0, b"whole")
        await engine.complete(ALICE, whole.id)
        await created(engine, 5)  # without bytes, so none can be missing
    settings = make(files="new")
    printed = await asyncio.to_thread(wherry, "storage", "adopt", *options_of(settings))
    assert "knows 2 uploads with files, of which 2 are missing" in printed.stdout
    settings = make()
    printed = await asyncio.to_thread(wherry, "storage", "adopt", *options_of(settings))
    assert "knows 2 uploads with files, of which 0 are missing" in printed.stdout


@pytest.mark.parametrize("make", ["folder"], indirect=True)
async def test_a_backup_that_is_restored_elsewhere_still_belongs_to_its_catalog(
    make: Make, tmp_path: Path
) -> None:
    settings = make()
    async with started(settings) as engine:
        upload_id = await half_of(engine)
    shutil.copytree(settings.data, tmp_path / "restored")
    async with started(make(files="restored")) as engine:
        assert await state_of(engine, upload_id) is State.RECEIVING
