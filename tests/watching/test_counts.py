"""What is counted in the catalog, and that it stays cheap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from wherry.catalog import Catalog
from wherry.catalog.counts import Counts
from wherry.catalog.sql.counts import counts
from wherry.catalog.sql.session import Session
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.ranges import Part, Range
from wherry.core.upload import State, Upload
from wherry.testing.memory.catalog import MemoryCatalog

pytestmark = pytest.mark.anyio


def new_upload(name: str, **facts: Any) -> Upload:
    return Upload(
        name,
        "o",
        "film.mp4",
        **({"limit": 100, "length": 100, "chunk_size": 10} | facts),
    )


async def fill(catalog: Catalog) -> None:
    """Some of everything; `now` is 1000."""
    for name, slot_until in (("open", 1001.0), ("idle", 1000.0)):
        await catalog.create(new_upload(name, slot_until=slot_until))
    for name, since in (("second", 700.0), ("first", 600.0)):
        await catalog.create(new_upload(name, state=State.WAITING, queued_at=since))
    await catalog.create(new_upload("back", queued_at=650.0))  # has bytes, and wants its slot
    for name in ("done", "stuck", "broken", "given-up"):
        await catalog.create(new_upload(name))
        await catalog.update(name, lambda u: u.lease(Range(0, 100), "t", 1.0))
        await catalog.update(name, lambda u: u.record("t", (Part(0, 100, 7, 1.0),)))
        await catalog.update(name, lambda u: u.begin_completion("c", 1.0, 2.0))
    for number, name in enumerate(("done", "broken", "given-up")):
        queued = Assessment(f"of-{name}", name, "o", 300.0 + number)
        await catalog.update(name, lambda u: u.complete("c", u.id), queued)
    await catalog.create(new_upload("cancelled"))
    await catalog.update("cancelled", lambda u: u.cancel(1.0))


@pytest.fixture(params=["sql", "memory"])
async def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    catalog: Catalog = (
        SqliteCatalog(tmp_path / "c.db") if request.param == "sql" else MemoryCatalog()
    )
    yield catalog
    await catalog.close()


async def test_an_empty_catalog_counts_nothing(catalog: Catalog) -> None:
    assert await catalog.counts(1000.0) == Counts()


async def test_what_is_unfinished_is_counted(catalog: Catalog) -> None:
    await fill(catalog)
    await catalog.lease_assessment(1000.0, lambda a: a.lease("w", 1000.0, 1010.0))
    await catalog.update_assessment("of-done", lambda a: a.give_up("w", 1001.0, "no"))
    await catalog.lease_assessment(1000.0, lambda a: a.lease("w", 1000.0, 1010.0))
    assert await catalog.counts(1000.0) == Counts(
        uploads={State.WAITING: 2, State.RECEIVING: 3, State.COMPLETING: 1},
        open=1,
        reserved=400,
        waiting=3,
        waiting_since=600.0,
        assessments={
            AssessmentState.FAILED: 1,
            AssessmentState.RUNNING: 1,
            AssessmentState.QUEUED: 1,
        },
        queued_since=302.0,
    )


async def test_no_table_is_read_from_end_to_end(tmp_path: Path) -> None:
    catalog = SqliteCatalog(tmp_path / "c.db")
    try:
        await fill(catalog)
        plans = await catalog._read(plans_of_counts)
    finally:
        await catalog.close()
    assert len(plans) >= 3
    assert all("USING" in step and "INDEX" in step for step in plans if "TEMP B-TREE" not in step)
    scans = [step for step in plans if step.startswith("SCAN")]
    assert all("INDEX ix_uploads_queued_at" in scan for scan in scans)  # it has only the line


def plans_of_counts(session: Session) -> list[str]:
    """How SQLite goes about each statement that counts."""
    asked: list[tuple[str, Any]] = []
    send = Session._send

    def sent(session: Session, text: str, values: Sequence[Any]) -> None:
        asked.append((text, values))
        send(session, text, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "_send", sent)
        counts(session, 1000.0)
    plans = []
    for text, values in asked:
        session._send(f"EXPLAIN QUERY PLAN {text}", values)
        plans += [row[3] for row in session._fetch()]
    return plans
