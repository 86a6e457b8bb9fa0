"""What is asked takes as many steps with a thousand complete uploads as with ten.

Steps of SQLite's own machine are counted, not seconds, so a busy machine changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from sqlalchemy import Engine, create_engine, event

from wherry.catalog.sql import rates
from wherry.catalog.sql.queries import MANY
from wherry.catalog.sql.session import Session
from wherry.catalog.sql.tables import metadata
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.assessment import AssessmentState
from wherry.core.limits import Limits, Used
from wherry.core.pages import Cursor, PageRequest
from wherry.core.ranges import Range
from wherry.core.upload import GONE, UNFINISHED, State
from wherry.core.webhooks import Delivery
from wherry.testing.catalog.fixtures import new_upload
from wherry.testing.catalog.many import fill

pytestmark = pytest.mark.anyio

NOW = 5000.0
TEN = PageRequest(limit=10)
USED = Used(60, int(NOW // 60), 10)
NEXT = PageRequest(Cursor(NOW - 5, "0"), 10, newest=True)

Ask = Callable[[SqliteCatalog], Awaitable[object]]


def _same(delivery: Delivery) -> Delivery:
    return delivery


ASKED: dict[str, Ask] = {
    "everybody's list": lambda c: c.uploads(None, None, TEN),
    "its next page": lambda c: c.uploads(None, None, NEXT),
    "an owner's list": lambda c: c.uploads(None, "owner-0", TEN),
    "its newest page": lambda c: c.uploads(None, "owner-0", NEXT),
    "an owner's unfinished": lambda c: c.uploads(UNFINISHED, "owner-0", TEN),
    "everybody's unfinished": lambda c: c.uploads(UNFINISHED, None, TEN),
    "somebody's who has none": lambda c: c.uploads(None, "nobody", TEN),
    "assessments": lambda c: c.assessments(TEN),
    "assessments that wait": lambda c: c.assessments(TEN, {AssessmentState.QUEUED}),
    "ids": lambda c: c.ids(UNFINISHED),
    "unfinished and due": lambda c: c.due(UNFINISHED, NOW - 100, NOW, TEN),
    "gone and due": lambda c: c.due(GONE, NOW - 100, NOW, TEN),
    "files that are due": lambda c: c.due_files(NOW, TEN),
    "files of which none is due": lambda c: c.due_files(0.0, TEN),
    "records that are due": lambda c: c.due_records(NOW, TEN),
    "an upload": lambda c: c.load("open"),
    "an assessment": lambda c: c.load_assessment(f"{5:031x}a"),
    "around": lambda c: to_thread.run_sync(c.around, "open", Range(0, 10)),
    "tokens": lambda c: to_thread.run_sync(c.tokens, ["open", "gone"]),
    "the queue": lambda c: c.queue(NOW),
    "counts": lambda c: c.counts(NOW),
    "the newest moment": lambda c: c.newest(),
    "the bytes used": lambda c: c.used(),
    "a change": lambda c: c.update("open", lambda u: u.keep_slot(NOW, Limits())),
    "the same file again": lambda c: c.create(replace(new_upload("open"), fingerprint="f")),
    "a lease": lambda c: c.lease_assessment(NOW, lambda a: a),
    "deliveries": lambda c: c.deliveries(None, TEN),
    "deliveries that are due": lambda c: c.take_deliveries("https://a.example", NOW, 9, _same),
    "endpoints that are gone": lambda c: c.gone_endpoints(),
    "deliveries to forget": lambda c: c.forget_deliveries(NOW - 100, NOW),
    "what is used of a rate": lambda c: c.update_rate("owner-1", USED, lambda u: u.give_back(1)),
    "counts to forget": lambda c: c.forget_rates(NOW),
}


@contextmanager
def watched(asked: list[tuple[str, Any]]) -> Iterator[list[int]]:
    """Counts the steps of all connections that are opened within, and collects what is asked."""
    steps = [0]
    send, send_many = Session._send, Session._send_many

    def count() -> int:
        steps[0] += 1
        return 0

    def opened(connection: sqlite3.Connection, _: object) -> None:
        connection.set_progress_handler(count, 1)

    def sent(session: Session, text: str, values: Sequence[Any]) -> None:
        asked.append((text, values))
        send(session, text, values)

    def sent_many(session: Session, text: str, rows: Sequence[Sequence[Any]]) -> None:
        asked.append((text, rows[0]))
        send_many(session, text, rows)

    event.listen(Engine, "connect", opened)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "_send", sent)
        patch.setattr(Session, "_send_many", sent_many)
        yield steps
    event.remove(Engine, "connect", opened)


async def steps_with(
    path: Path, count: int, ask: Ask, assessed: AssessmentState = AssessmentState.DONE
) -> tuple[int, list[str]]:
    """How many steps it took, and how SQLite went about it."""
    fill(path, count, owners=2, ended=NOW, assessed=assessed)
    fill_rates(path, count)
    asked: list[tuple[str, Any]] = []
    with watched(asked) as steps:
        catalog = SqliteCatalog(path)
        try:
            await make_few(catalog)
            asked.clear()
            steps[0] = 0
            await ask(catalog)
            taken, plan = steps[0], plans(path, asked)
        finally:
            await catalog.close()
    return taken, plan


def fill_rates(path: Path, count: int, used: Used = USED) -> None:
    """So many owners have used something."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        rows = [{"key": f"owner-{n}", **rates.row(used)} for n in range(count)]
        connection.execute(rates.ADD, rows)
    engine.dispose()


async def make_few(catalog: SqliteCatalog) -> None:
    """Unfinished uploads, and one of each kind that has ended without a file."""
    await catalog.create(replace(new_upload("waits"), state=State.WAITING, queued_at=1.0))
    await catalog.create(replace(new_upload("open"), created_at=NOW - 200, fingerprint="f"))
    await catalog.create(new_upload("over"))
    await catalog.update("over", lambda u: u.cancel(NOW))
    await catalog.create(replace(new_upload("gone"), state=State.COMPLETE, discarded_at=1.0))
    await catalog.update_rate("old", Used(60, 1), lambda used: used)


def plans(path: Path, asked: list[tuple[str, Any]]) -> list[str]:
    found: list[str] = []
    with sqlite3.connect(path) as connection:
        for statement, parameters in asked:
            if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
                rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                found += [row[3] for row in rows]
    connection.close()
    return found


@pytest.mark.parametrize("what", ASKED)
async def test_a_thousand_records_take_no_more_steps_than_ten(tmp_path: Path, what: str) -> None:
    few, _ = await steps_with(tmp_path / "few.db", 10, ASKED[what])
    many, plan = await steps_with(tmp_path / "many.db", 1000, ASKED[what])
    assert plan
    growing = tuple(f"SCAN {name}" for name in metadata.tables if name != "totals")
    scans = [step for step in plan if step.startswith(growing)]
    # This index has the line and nothing else.
    assert all(scan.endswith(" INDEX ix_uploads_queued_at") for scan in scans)
    assert few > 0
    # A few more pages of a tree, and ten records instead of five.
    assert many < 3 * few + 200, plan


async def test_a_lease_finds_the_first_of_a_thousand_at_once(tmp_path: Path) -> None:
    lease, queued = ASKED["a lease"], AssessmentState.QUEUED
    few, _ = await steps_with(tmp_path / "few.db", 10, lease, queued)
    many, plan = await steps_with(tmp_path / "many.db", 1000, lease, queued)
    assert few > 0
    assert many < 2 * few, plan
    assert any(" INDEX ix_assessments_waiting " in step for step in plan)
    assert not [step for step in plan if "TEMP B-TREE" in step]


async def test_counts_are_forgotten_a_few_at_a_time(tmp_path: Path, statements: list[str]) -> None:
    path = tmp_path / "catalog.db"
    catalog = SqliteCatalog(path)
    fill_rates(path, 2 * MANY + 1)
    statements.clear()
    await catalog.forget_rates(USED.expires_at)
    # Each is one statement, for many keys, in a transaction of its own.
    assert len([each for each in statements if each.startswith("DELETE")]) == 3
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM rates").fetchall() == [(0,)]
    connection.close()
    await catalog.close()
