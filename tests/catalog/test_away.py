"""What is committed into a file that nobody will find is not acknowledged."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.errors import StorageFailed
from wherry.core.upload import State, Upload
from wherry.testing.catalog.fixtures import new_upload

pytestmark = pytest.mark.anyio

ENDINGS = ("", "-wal", "-shm")


@contextmanager
def away(path: Path) -> Iterator[None]:
    aside = path.with_name("aside")
    path.rename(aside)
    yield
    aside.rename(path)


async def check_refuses(catalog: SqliteCatalog, folder: Path) -> None:
    before = sorted(folder.iterdir())
    for ask in (
        catalog.load("u"),
        catalog.uploads(),
        catalog.counts(0.0),
        catalog.update("u", lambda u: u.cancel(1.0)),
        catalog.create(new_upload("v")),
        catalog.forget(["u"]),
    ):
        with pytest.raises(StorageFailed, match="bring it back"):
            await ask
    assert sorted(folder.iterdir()) == before, "nothing is made in its place"


@pytest.mark.parametrize("ending", ENDINGS)
async def test_while_a_file_of_the_catalog_is_away_nothing_is_answered(
    catalog: SqliteCatalog, path: Path, ending: str
) -> None:
    before = await catalog.create(new_upload("u"))
    with away(path.with_name(path.name + ending)):
        await check_refuses(catalog, path.parent)
    assert await catalog.load("u") == before
    assert (await catalog.update("u", lambda u: u.cancel(1.0))).state is State.CANCELLED


async def test_while_the_folder_is_away_nothing_is_answered_and_no_folder_made(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    catalog = SqliteCatalog(folder / "catalog.sqlite")
    before = await catalog.create(new_upload("u"))
    with away(folder):
        await check_refuses(catalog, tmp_path)
    assert await catalog.load("u") == before
    await catalog.close()


async def test_another_database_in_its_place_is_not_taken_for_it(
    catalog: SqliteCatalog, path: Path, tmp_path: Path
) -> None:
    other = SqliteCatalog(tmp_path / "other.db")
    await other.create(new_upload("u"))
    await other.close()
    before = await catalog.create(new_upload("u"))
    with away(path):
        shutil.copy(tmp_path / "other.db", path)
        await check_refuses(catalog, tmp_path)
        path.unlink()
    assert await catalog.load("u") == before


@pytest.mark.parametrize("ending", ENDINGS)
async def test_what_is_deleted_while_it_is_committed_is_not_acknowledged(
    catalog: SqliteCatalog, path: Path, ending: str
) -> None:
    await catalog.create(new_upload("u"))

    def change(upload: Upload) -> Upload:
        path.with_name(path.name + ending).unlink()
        return upload.cancel(1.0)

    with pytest.raises(StorageFailed, match="bring it back"):
        await catalog.update("u", change)


async def test_a_file_renamed_while_it_is_committed_has_what_was_committed(
    catalog: SqliteCatalog, path: Path
) -> None:
    await catalog.create(new_upload("u"))

    def change(upload: Upload) -> Upload:
        path.rename(path.with_name("aside"))
        return upload.cancel(1.0)

    with pytest.raises(StorageFailed):
        await catalog.update("u", change)
    path.with_name("aside").rename(path)
    assert (await catalog.load("u")).state is State.CANCELLED


async def test_the_log_is_the_same_for_as_long_as_the_catalog_is_open(
    catalog: SqliteCatalog, path: Path
) -> None:
    """Else a closed connection, the last one for a moment, would look like a theft."""
    await catalog.create(new_upload("u"))
    catalog._writer._disconnect()
    catalog._engine.dispose()
    assert path.with_name(path.name + "-wal").exists()
    assert (await catalog.update("u", lambda u: u.cancel(1.0))).state is State.CANCELLED


async def test_closing_deletes_no_log_of_another_database_in_its_place(
    path: Path, tmp_path: Path
) -> None:
    catalog = SqliteCatalog(path)
    await catalog.create(new_upload("u"))
    aside = tmp_path / "aside"
    aside.mkdir()
    for ending in ENDINGS:
        path.with_name(path.name + ending).rename(aside / (path.name + ending))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("CREATE TABLE t (x)")
    await catalog.close()
    assert path.with_name(path.name + "-wal").exists()
    other.execute("INSERT INTO t VALUES (1)")
    other.close()
    again = SqliteCatalog(aside / path.name)
    assert (await again.load("u")).id == "u"
    await again.close()


async def test_a_closed_catalog_leaves_no_log(path: Path) -> None:
    catalog = SqliteCatalog(path)
    await catalog.create(new_upload("u"))
    await catalog.close()
    left = sorted(found.name for found in path.parent.iterdir())
    assert left == [path.name, f"{path.name}-ballast"]
