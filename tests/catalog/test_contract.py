"""All catalogs keep what every catalog promises."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from wherry.catalog import Catalog
from wherry.catalog.postgres.catalog import PostgresCatalog
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.testing.catalog import CHECKS, Check, check_catalog
from wherry.testing.catalog.fixtures import CHECK_TIMEOUT, new_upload
from wherry.testing.memory.catalog import MemoryCatalog

pytestmark = pytest.mark.anyio


def name(check: Check) -> str:
    return getattr(check, "__name__", repr(check))


@pytest.mark.parametrize("check", CHECKS, ids=name)
async def test_sqlite_keeps_its_promise(check: Check, catalog: SqliteCatalog) -> None:
    with anyio.fail_after(CHECK_TIMEOUT):
        await check(catalog)


@pytest.mark.parametrize("check", CHECKS, ids=name)
async def test_memory_keeps_its_promise(check: Check) -> None:
    with anyio.fail_after(CHECK_TIMEOUT):
        await check(MemoryCatalog())


@pytest.mark.parametrize("check", CHECKS, ids=name)
async def test_postgres_keeps_its_promise(check: Check, database: str) -> None:
    catalog = PostgresCatalog(database)
    try:
        with anyio.fail_after(CHECK_TIMEOUT):
            await check(catalog)
    finally:
        await catalog.close()


async def test_all_checks_run_from_one_call(tmp_path: Path) -> None:
    made: list[Catalog] = []

    def make() -> Catalog:
        made.append(SqliteCatalog(tmp_path / f"{len(made)}.db"))
        return made[-1]

    await check_catalog(make)
    assert len(made) == len(CHECKS)


async def test_the_checks_find_a_catalog_that_forgets() -> None:
    class Forgetful(MemoryCatalog):
        async def forget(self, upload_ids: object) -> None:
            """Nothing."""

    with pytest.raises(AssertionError):
        await check_catalog(Forgetful)


@pytest.mark.parametrize("kind", ["sqlite", "memory", "postgres"])
async def test_an_identifier_is_given_once(
    kind: str, path: Path, request: pytest.FixtureRequest
) -> None:
    catalog: Catalog
    if kind == "postgres":
        catalog = PostgresCatalog(request.getfixturevalue("database"))
    else:
        catalog = SqliteCatalog(path) if kind == "sqlite" else MemoryCatalog()
    first = await catalog.create(new_upload("u"))
    with pytest.raises(ValueError, match="there is an upload u"):
        await catalog.create(new_upload("u", owner="another"))
    assert await catalog.uploads() == [first]
    await catalog.close()
