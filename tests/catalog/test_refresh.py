"""An upload with many parts is refreshed to what a new reading of it finds."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wherry.catalog import Change
from wherry.catalog.sql import queries
from wherry.catalog.sql.refresh import MANY_PARTS, refreshed
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.errors import StorageFailed, UploadNotFound
from wherry.core.ranges import Part, PartSet, Range
from wherry.core.upload import Lease, Upload
from wherry.testing.catalog.fixtures import new_upload

pytestmark = pytest.mark.anyio

LENGTH = 60
MANY = PartSet(tuple(Part(at, at + 1, at, 1.0) for at in range(0, 4 * MANY_PARTS, 2)))


def adding(*parts: Part) -> Change:
    def change(upload: Upload) -> Upload:
        for part in parts:
            upload = replace(upload, received=upload.received.add(part))
        return upload

    return change


@pytest.fixture
def path_of_each(tmp_path: Path) -> Callable[[], Path]:
    paths = (tmp_path / f"{number}.db" for number in range(10_000))
    return lambda: next(paths)


@st.composite
def pieces(draw: st.DrawFn) -> list[Part]:
    cuts = sorted(draw(st.sets(st.integers(1, LENGTH - 1), min_size=20)) | {0, LENGTH})
    parts = [Part(start, end, start << 40, float(start)) for start, end in pairwise(cuts)]
    return draw(st.permutations(parts))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pieces(), st.data())
def test_it_is_what_a_new_reading_finds(
    path_of_each: Callable[[], Path], came: list[Part], data: st.DataObject
) -> None:
    known = data.draw(st.integers(0, len(came)))
    now = data.draw(st.integers(known, len(came)))
    catalog = SqliteCatalog(path_of_each())
    lease = Lease("t", Range(0, 5), 1.0)
    with patch("wherry.core.ranges._BLOCK", 4):
        catalog.submit_create(new_upload("u", length=LENGTH)).result()
        earlier = catalog.submit_update("u", adding(*came[:known])).result()
        catalog.submit_update("u", adding(*came[known:now])).result()
        catalog.submit_update("u", lambda u: replace(u, slot_until=9.0, leases=(lease,))).result()
        found = catalog._readers.ask(lambda session: refreshed(session, earlier))
        read = catalog._readers.ask(lambda session: queries.read_uploads(session, ["u"]))
    assert found == read
    assert found[0]["u"].received.size == sum(part.end - part.start for part in came[:now])
    asyncio.run(catalog.close())


async def test_another_upload_of_its_identifier_is_read_anew(catalog: SqliteCatalog) -> None:
    earlier = replace(new_upload("u", length=4000), received=MANY, created_at=1.0)
    same_size = PartSet((Part(0, MANY.size, 9, 2.0),))
    new = await catalog.create(replace(earlier, received=same_size, created_at=2.0))
    found = catalog._readers.ask(lambda session: refreshed(session, earlier))
    assert found == ({"u": new}, {})
    await catalog.forget(["u"])
    assert catalog._readers.ask(lambda session: refreshed(session, earlier)) == ({}, {})


async def test_after_a_commit_of_others_few_of_its_parts_are_read(
    path: Path, catalog: SqliteCatalog, statements: list[str]
) -> None:
    other = SqliteCatalog(path)
    await catalog.create(replace(new_upload("u", length=4000), received=MANY))
    await other.create(new_upload("another"))

    async def parts_read(change: Change) -> int:
        """How many parts the next change of the upload reads."""
        with patch.object(queries, "Part", side_effect=Part) as made:
            await catalog.update("u", change)
        return made.call_count

    assert await parts_read(adding(Part(1001, 1002, 7, 2.0))) == 0
    await other.update("u", adding(Part(501, 502, 8, 3.0)))
    assert 0 < await parts_read(adding(Part(601, 602, 9, 4.0))) < 200
    added = (Part(501, 502, 8, 3.0), Part(601, 602, 9, 4.0), Part(1001, 1002, 7, 2.0))
    there = await other.load("u")
    assert there.received == adding(*added)(replace(there, received=MANY)).received

    await other.forget(["u"])
    with pytest.raises(UploadNotFound):
        await catalog.update("u", adding())
    await other.close()


async def test_damage_done_meanwhile_is_found(path: Path, catalog: SqliteCatalog) -> None:
    await catalog.create(replace(new_upload("u", length=4000), received=MANY))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE uploads SET metadata = '{'")
    database.close()
    with pytest.raises(StorageFailed, match="cannot be read"):
        await catalog.update("u", adding())
