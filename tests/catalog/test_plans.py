"""What is asked takes as many steps with a thousand complete uploads as with ten.

Steps of SQLite's own machine are counted, not seconds, so a busy machine changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from wherry.catalog.sql.tables import metadata
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.assessment import AssessmentState
from wherry.core.limits import Limits
from wherry.core.pages import Cursor, PageRequest
from wherry.core.upload import GONE, UNFINISHED, State
from wherry.testing.catalog.fixtures import new_upload
from wherry.testing.catalog.many import fill

pytestmark = pytest.mark.anyio

NOW = 5000.0
TEN = PageRequest(limit=10)
NEXT = PageRequest(Cursor(NOW - 5, "0"), 10, newest=True)

Ask = Callable[[SqliteCatalog], Awaitable[object]]
ASKED: dict[str, Ask] = {
    "everybody's list": lambda c: c.uploads(None, None, TEN),
    "its next page": lambda c: c.uploads(None, None, NEXT),
    "an owner's list": lambda c: c.uploads(None, "owner-0", TEN),
    "its newest page": lambda c: c.uploads(None, "owner-0", NEXT),
    "an owner's unfinished": lambda c: c.uploads(UNFINISHED, "owner-0", TEN),
    "everybody's unfinished": lambda c: c.uploads(UNFINISHED, None, TEN),
    "somebody's who has none": lambda c: c.uploads(None, "nobody", TEN),
    "assessments": lambda c: c.assessments(TEN),
    "ids": lambda c: c.ids(UNFINISHED),
    "unfinished and due": lambda c: c.due(UNFINISHED, NOW - 100, NOW, TEN),
    "gone and due": lambda c: c.due(GONE, NOW - 100, NOW, TEN),
    "files that are due": lambda c: c.due_files(NOW, TEN),
    "files of which none is due": lambda c: c.due_files(0.0, TEN),
    "records that are due": lambda c: c.due_records(NOW, TEN),
    "an upload": lambda c: c.load("open"),
    "an assessment": lambda c: c.load_assessment(f"{5:031x}a"),
    "tokens": lambda c: c.tokens("open"),
    "the queue": lambda c: c.queue(NOW),
    "counts": lambda c: c.counts(NOW),
    "the newest moment": lambda c: c.newest(),
    "the bytes used": lambda c: c.used(),
    "a change": lambda c: c.update("open", lambda u: u.keep_slot(NOW, Limits())),
    "the same file again": lambda c: c.create(replace(new_upload("open"), fingerprint="f")),
    "a lease": lambda c: c.lease_assessment(NOW, lambda a: a),
}


@contextmanager
def watched(catalog: SqliteCatalog, asked: list[tuple[str, Any]]) -> Iterator[list[int]]:
    """Counts the steps of all connections, and collects what is asked."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    def begun(connection: Any, *_: Any) -> None:
        connection.connection.driver_connection.set_progress_handler(count, 1)

    def sent(conn: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(catalog._engine, "begin", begun, insert=True)
    event.listen(catalog._engine, "before_cursor_execute", sent)
    yield steps
    event.remove(catalog._engine, "begin", begun)
    event.remove(catalog._engine, "before_cursor_execute", sent)


async def steps_with(
    path: Path, count: int, ask: Ask, assessed: AssessmentState = AssessmentState.DONE
) -> tuple[int, list[str]]:
    """How many steps it took, and how SQLite went about it."""
    fill(path, count, owners=2, ended=NOW, assessed=assessed)
    catalog = SqliteCatalog(path)
    asked: list[tuple[str, Any]] = []
    try:
        waiting = replace(new_upload("waits"), state=State.WAITING, queued_at=1.0)
        await catalog.create(waiting)
        await catalog.create(replace(new_upload("open"), created_at=NOW - 200, fingerprint="f"))
        await catalog.create(new_upload("over"))
        await catalog.update("over", lambda u: u.cancel(NOW))
        gone = replace(new_upload("gone"), state=State.COMPLETE, discarded_at=1.0)
        await catalog.create(gone)
        with watched(catalog, asked) as steps:
            await ask(catalog)
    finally:
        await catalog.close()
    return steps[0], plans(path, asked)


def plans(path: Path, asked: list[tuple[str, Any]]) -> list[str]:
    found: list[str] = []
    with sqlite3.connect(path) as connection:
        for statement, parameters in asked:
            if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
                given = parameters[0] if isinstance(parameters, list) else parameters
                rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", given)
                found += [row[3] for row in rows]
    connection.close()
    return found


@pytest.mark.parametrize("what", ASKED)
async def test_a_thousand_records_take_no_more_steps_than_ten(tmp_path: Path, what: str) -> None:
    few, _ = await steps_with(tmp_path / "few.db", 10, ASKED[what])
    many, plan = await steps_with(tmp_path / "many.db", 1000, ASKED[what])
    assert plan
    scans = [step for step in plan if step.startswith(tuple(f"SCAN {t}" for t in metadata.tables))]
    # This index has the line and nothing else.
    assert all(scan.endswith(" INDEX ix_uploads_queued_at") for scan in scans)
    assert few > 0
    # A few more pages of a tree, and ten records instead of five.
    assert many < 3 * few + 200, plan


async def test_a_lease_finds_the_oldest_of_a_thousand_at_once(tmp_path: Path) -> None:
    lease, queued = ASKED["a lease"], AssessmentState.QUEUED
    few, _ = await steps_with(tmp_path / "few.db", 10, lease, queued)
    many, plan = await steps_with(tmp_path / "many.db", 1000, lease, queued)
    assert few > 0
    assert many < 2 * few, plan
