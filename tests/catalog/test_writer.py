"""Many wait, one thread writes: what a group shares and what each has to itself."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from wherry.catalog import Change
from wherry.catalog.sql.grouping import GROUP
from wherry.catalog.sql.session import Row, Session
from wherry.catalog.sqlite import connections
from wherry.catalog.sqlite.ballast import BALLAST
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.catalog.sqlite.connections import LOOK_FIRST
from wherry.core.admission import Queue
from wherry.core.assessment import Assessment
from wherry.core.errors import DiskFull, NoRoom, StorageFailed
from wherry.core.ranges import Part, Range
from wherry.core.upload import State, Upload
from wherry.testing.catalog.fixtures import CHECK_TIMEOUT, new_upload

pytestmark = pytest.mark.anyio

Hold = Callable[[SqliteCatalog], AbstractContextManager[None]]


def lease(want: Range, token: str) -> Change:
    return lambda upload: upload.lease(want, token, 1.0)


async def in_line(*tasks: asyncio.Task[Upload]) -> None:
    """Every task has run up to where it waits for the writer."""
    await asyncio.sleep(0)


async def test_all_that_wait_are_one_transaction(
    catalog: SqliteCatalog, hold: Hold, statements: list[str]
) -> None:
    await catalog.create(new_upload("held"))
    await catalog.create(new_upload("u", length=GROUP))
    with hold(catalog):
        changes = [lease(Range(n, n + 1), f"t{n}") for n in range(GROUP)]
        waiting = [asyncio.create_task(catalog.update("u", change)) for change in changes]
        await in_line(*waiting)
        statements.clear()
    await asyncio.gather(*waiting)
    assert statements.count("COMMIT") == 2  # the held one, and all these
    assert [s for s in statements if "leases" in s] == [statements[-2]]
    assert len((await catalog.load("u")).leases) == GROUP


async def test_arrivals_of_a_group_count_each_other_with_one_look_at_the_queue(
    catalog: SqliteCatalog, hold: Hold, statements: list[str]
) -> None:
    await catalog.create(new_upload("held"))
    seen: list[Queue] = []

    def check(queue: Queue) -> None:
        seen.append(queue)
        if queue.open == GROUP // 2:
            raise NoRoom

    def arrives(number: int) -> Future[Upload]:
        # Threads do not submit in the order of the moments that they have read.
        at = float(100 + (number * 7) % GROUP)
        new = replace(new_upload(f"u{number}"), created_at=at, slot_until=1000.0)
        return catalog.submit_create(new, None, check)

    with hold(catalog):
        waiting = [asyncio.wrap_future(arrives(number)) for number in range(GROUP)]
        statements.clear()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [Upload] * (GROUP // 2) + [NoRoom] * (GROUP // 2)
    assert [queue.open for queue in seen] == [min(n, GROUP // 2) for n in range(GROUP)]
    assert len([s for s in statements if "queued_at IS NOT NULL" in s]) == 1
    assert len([s for s in statements if s.startswith("INSERT INTO uploads")]) == 1

    # The next transactions need not look at it at all, until slots have ended.
    for at, looks, is_open in ((300.0, 0, GROUP // 2), (1000.0, 1, 0)):
        there = await catalog.queue(at)
        statements.clear()
        later = replace(new_upload(f"at-{at}"), created_at=at)
        await asyncio.wrap_future(catalog.submit_create(later, None, seen.append))
        assert seen[-1] == there
        assert seen[-1].open == is_open
        assert len([s for s in statements if "queued_at IS NOT NULL" in s]) == looks


async def test_arrivals_count_what_another_process_has_recorded(
    path: Path, catalog: SqliteCatalog
) -> None:
    other = SqliteCatalog(path)
    seen: list[int] = []
    for number in range(3):
        for each in (catalog, other):
            new = replace(new_upload(f"{number}-{id(each)}"), created_at=1.0, slot_until=9.0)
            checked = each.submit_create(new, None, lambda queue: seen.append(queue.open))
            await asyncio.wrap_future(checked)
    assert seen == list(range(6))
    waiting = replace(new_upload("waits"), state=State.WAITING, queued_at=2.0)
    await other.create(waiting)
    await asyncio.wrap_future(
        catalog.submit_create(new_upload("last"), None, lambda q: seen.append(len(q.entries)))
    )
    assert seen[-1] == 1
    await other.close()


async def test_only_changed_columns_are_written(
    catalog: SqliteCatalog, statements: list[str]
) -> None:
    """An index is rewritten for each of its columns that is, though the value is the same."""
    await catalog.create(new_upload("u"))
    statements.clear()
    changed = await catalog.update("u", lambda u: replace(u, slot_until=7.0))
    [update] = [s for s in statements if s.startswith("UPDATE")]
    assert update == "UPDATE uploads SET slot_until=? WHERE uploads.id = ?"
    assert await catalog.load("u") == changed


async def test_a_chunk_does_not_rewrite_its_upload(
    catalog: SqliteCatalog, statements: list[str]
) -> None:
    await catalog.create(new_upload("u"))
    statements.clear()
    await catalog.update("u", lambda u: u.lease(Range(0, 10), "t", 1.0))
    await catalog.update("u", lambda u: u.record("t", (Part(0, 10, 1, 1.0),)))
    tables = [s.split()[1:3] for s in statements if s.split()[0] in ("INSERT", "UPDATE", "DELETE")]
    assert tables == [["INTO", "leases"], ["INTO", "parts"], ["FROM", "leases"]]
    # Nor is it read again, while nobody else writes.
    assert not [s for s in statements if s.startswith("SELECT")]


async def test_what_cannot_be_recorded_fails_alone(catalog: SqliteCatalog, hold: Hold) -> None:
    """A lone surrogate is no text, and NaN no number, to a database."""
    await catalog.create(new_upload("held"))
    for name in ("good", "bad"):
        await catalog.create(new_upload(name))
    with hold(catalog):
        waiting = [
            asyncio.create_task(catalog.update("good", lambda u: replace(u, filename="new"))),
            asyncio.create_task(catalog.update("bad", lambda u: replace(u, filename="\ud800"))),
            asyncio.create_task(catalog.update("bad", lambda u: replace(u, limit=1 << 80))),
            asyncio.create_task(
                catalog.update("good", lambda u: u.cancel(1.0), Assessment("a", "good", "o", 1.0))
            ),
        ]
        await in_line(*waiting)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(result, Upload) for result in results] == [True, False, False, True]
    good = await catalog.load("good")
    assert (good.filename, good.state) == ("new", State.CANCELLED)
    assert await catalog.load("bad") == new_upload("bad")
    assert [assessment.id for assessment in await catalog.assessments()] == ["a"]


async def test_who_leaves_before_the_turn_is_left_out(catalog: SqliteCatalog, hold: Hold) -> None:
    await catalog.create(new_upload("held"))
    await catalog.create(new_upload("u"))
    asked = []

    def change(upload: Upload) -> Upload:
        asked.append(upload.id)
        return upload

    with hold(catalog):
        leaver = asyncio.create_task(catalog.update("u", change))
        stayer = asyncio.create_task(catalog.update("u", lambda u: u.cancel(1.0)))
        await in_line(leaver, stayer)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
    assert (await stayer).state is State.CANCELLED
    assert asked == []


async def test_who_leaves_during_the_turn_has_been_served(catalog: SqliteCatalog) -> None:
    await catalog.create(new_upload("u"))
    inside, go_on = threading.Event(), threading.Event()

    def change(upload: Upload) -> Upload:
        inside.set()
        assert go_on.wait(CHECK_TIMEOUT)
        return upload.cancel(1.0)

    leaver = asyncio.create_task(catalog.update("u", change))
    assert await asyncio.to_thread(inside.wait, CHECK_TIMEOUT)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    go_on.set()
    await catalog.update("u", lambda u: u)
    assert (await catalog.load("u")).state is State.CANCELLED


async def test_threads_and_other_loops_may_ask(catalog: SqliteCatalog) -> None:
    await catalog.create(new_upload("u"))
    await catalog.update("u", lambda u: u, Assessment("a", "u", "o", 1.0))

    def elsewhere(number: int) -> None:
        part = Part(number, number + 1, number, 1.0)
        catalog.submit_update("u", lambda u: u.lease(part.range, f"t{number}", 1.0)).result()
        asyncio.run(catalog.update("u", lambda u: u.record(f"t{number}", (part,))))
        assert asyncio.run(catalog.load("u")).received.size > 0

    await asyncio.gather(*(asyncio.to_thread(elsewhere, number) for number in range(20)))
    assert (await catalog.load("u")).offset == 20

    leased = await catalog.lease_assessment(1.0, lambda a: a.lease("w", 1.0, 2.0))
    assert leased is not None
    renewed = await asyncio.to_thread(
        lambda: asyncio.run(catalog.update_assessment("a", lambda a: a.renew("w", 9.0)))
    )
    assert renewed == await catalog.load_assessment("a")
    assert renewed.leased_until == 9.0


@contextmanager
def opening() -> Iterator[list[sqlite3.Connection]]:
    """Every connection that is opened within."""
    opened: list[sqlite3.Connection] = []

    def keep(connection: sqlite3.Connection, _: object) -> None:
        opened.append(connection)

    event.listen(Engine, "connect", keep)
    yield opened
    event.remove(Engine, "connect", keep)


async def test_a_full_disk_refuses_the_group_and_passes(path: Path) -> None:
    with opening() as opened:
        catalog = SqliteCatalog(path)
        await catalog.create(new_upload("u"))
        safe = await catalog.update("u", lambda u: u.lease(Range(0, 10), "t", 1.0))
        for connection in opened:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages}")
    large = {"notes": "x" * 100_000}
    together = [catalog.update("u", lambda u: replace(u, metadata=large)) for _ in range(3)]
    results = await asyncio.gather(*together, return_exceptions=True)
    assert DiskFull() in results
    # The connection is another by now, and knows of no limit: the disk has room again.
    assert all(result == DiskFull() or isinstance(result, Upload) for result in results)
    assert (await catalog.load("u")).leases == safe.leases
    after = await catalog.update("u", lambda u: replace(u, metadata=large))
    assert await catalog.load("u") == after
    await catalog.close()


async def test_a_database_that_stays_locked_is_an_error_that_passes(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "TIMEOUT", 0.05)
    catalog = SqliteCatalog(path)
    before = await catalog.create(new_upload("u"))
    stranger = sqlite3.connect(path, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageFailed, match="database is locked"):
        await catalog.update("u", lambda u: u.cancel(1.0))
    assert "could not record 1 change" in caplog.text
    assert await catalog.load("u") == before
    stranger.execute("ROLLBACK")
    stranger.close()
    assert await catalog.update("u", lambda u: u) == before
    await catalog.close()


async def test_a_writer_looks_soon_again_whether_another_process_has_committed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = SqliteCatalog(path)
    await catalog.create(new_upload("u"))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            other.execute("COMMIT")

    monkeypatch.setattr(time, "sleep", sleep)
    assert (await catalog.update("u", lambda u: u.cancel(1.0))).state is State.CANCELLED
    assert slept == [LOOK_FIRST, 1.5 * LOOK_FIRST, 1.5 * 1.5 * LOOK_FIRST]
    other.close()
    await catalog.close()


async def test_a_damaged_database_is_said_to_be(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StorageFailed, match="not a database"):
        SqliteCatalog(path)


async def test_closing_carries_out_what_waits_and_refuses_what_comes(
    path: Path, hold: Hold
) -> None:
    catalog = SqliteCatalog(path)
    await catalog.create(new_upload("held"))
    with hold(catalog):
        waiting = asyncio.create_task(catalog.update("held", lambda u: u.cancel(1.0)))
        await in_line(waiting)
        closing = [asyncio.create_task(catalog.close()) for _ in range(2)]
        await in_line()
    await asyncio.gather(*closing)
    assert (await waiting).state is State.CANCELLED
    with pytest.raises(RuntimeError, match="closed"):
        await catalog.update("held", lambda u: u)
    with pytest.raises(RuntimeError):
        await catalog.load("held")
    await catalog.close()


async def test_who_hears_of_freed_space_finds_the_ballast_filled(
    catalog: SqliteCatalog, path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the caller could take its space before it is filled."""
    names = ("held", "u", "v")
    for name in names:
        await catalog.create(new_upload(name))
    run, ballast = Session.run, path.with_name(f"{path.name}-ballast")

    def run_on_a_full_disk(session: Session, text: str) -> list[Row]:
        if text == "COMMIT" and ballast.stat().st_size:
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise OperationalError(text, (), full)
        return run(session, text)

    sizes = []
    with hold(catalog):
        waiting = [catalog.submit_update(name, lambda u: u.cancel(1.0)) for name in names]
        for future in waiting:
            future.add_done_callback(lambda _: sizes.append(ballast.stat().st_size))
        monkeypatch.setattr(Session, "run", run_on_a_full_disk)
    for future in waiting:
        assert (await asyncio.wrap_future(future)).state is State.CANCELLED
    assert sizes == [BALLAST] * 3
