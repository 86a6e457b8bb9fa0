"""What was acknowledged is there after kill -9, from however many processes it came."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from wherry.catalog import Change
from wherry.catalog.sql import queries
from wherry.catalog.sql.session import Compiler, Session
from wherry.catalog.sqlite import connections
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.catalog.sqlite.connections import open_engine, parse_url, writing
from wherry.catalog.sqlite.writer import CHECKPOINT_AFTER
from wherry.core.digests import crc64
from wherry.core.ranges import Part, Range
from wherry.core.upload import Upload
from wherry.testing.catalog.fixtures import CHECK_TIMEOUT, new_upload

pytestmark = pytest.mark.anyio


Start = Callable[..., subprocess.Popen[str]]


def take_over(number: int) -> Change:
    """Two rows written: one lease goes, another comes."""
    return lambda upload: upload.lease(Range(0, 1), f"t{number}", 1.0)


def check_sound(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


@pytest.mark.parametrize("writes", [False, True])
def test_every_connection_syncs_each_commit(path: Path, writes: bool) -> None:
    engine = open_engine(parse_url(path), 2)
    with writing(engine) if writes else engine.connect() as connection:

        def pragma(name: str) -> object:
            return connection.execute(text(f"PRAGMA {name}")).scalar()

        assert pragma("journal_mode") == "wal"
        assert pragma("synchronous") == 2
        assert pragma("foreign_keys") == 1
        assert pragma("busy_timeout") == connections.TIMEOUT * 1000
        assert pragma("wal_autocheckpoint") == 0
    engine.dispose()


def test_a_database_that_cannot_have_a_log_is_refused() -> None:
    with pytest.raises(RuntimeError, match="journal_mode=memory"):
        SqliteCatalog("sqlite:///:memory:")


def test_a_database_that_does_not_sync_is_refused(path: Path) -> None:
    def ignore(action: int, name: str | None, value: str | None, *_: object) -> int:
        is_sync = action == sqlite3.SQLITE_PRAGMA and name == "synchronous" and value is not None
        return sqlite3.SQLITE_IGNORE if is_sync else sqlite3.SQLITE_OK

    def spoil(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.set_authorizer(ignore)

    event.listen(Engine, "connect", spoil)
    try:
        with pytest.raises(RuntimeError, match="synchronous=1"):
            SqliteCatalog(path)
    finally:
        event.remove(Engine, "connect", spoil)


def test_a_start_waits_for_one_that_is_setting_up_the_log(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself answers at once that the database is locked."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE theirs (number INTEGER)")
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(time, "sleep", lambda _: other.execute("ROLLBACK"))
    engine = open_engine(parse_url(path), 1)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    engine.dispose()
    other.close()


def test_another_database_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="mysql"):
        SqliteCatalog("mysql://somewhere/wherry")


def test_a_process_that_is_killed_loses_nothing_it_had_acknowledged(
    path: Path, start: Start
) -> None:
    for lines in (300, 50, 700):
        path = path.with_name(f"{lines}.db")
        process = start("acknowledge.py", path)
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        # What it had said before it died, but for a line cut off, it had acknowledged.
        said += process.communicate(timeout=CHECK_TIMEOUT)[0].splitlines(keepends=True)
        acknowledged: dict[str, list[Range]] = {}
        for line in said:
            if line.endswith("\n"):
                name, first, last = line.split()
                acknowledged.setdefault(name, []).append(Range(int(first), int(last)))
        assert sum(map(len, acknowledged.values())) >= lines
        check_sound(path)
        check_recorded(path, acknowledged)


def check_recorded(path: Path, acknowledged: dict[str, list[Range]]) -> None:
    engine = open_engine(parse_url(path), 1)
    session = Session(engine.raw_connection(), Compiler(engine.dialect))
    for name, ranges in acknowledged.items():
        upload = queries.uploads_by_id(session, [name])[name]
        assert [r for r in ranges if upload.received.missing(r)] == []
    session.drop()
    engine.dispose()


async def test_four_processes_write_into_one_upload(
    path: Path, catalog: SqliteCatalog, start: Start
) -> None:
    await catalog.create(new_upload("shared", length=200))
    processes = [start("share.py", path, number, 4) for number in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    ended = [process.communicate("go\n", timeout=CHECK_TIMEOUT) for process in processes]
    assert [err for _, err in ended] == [""] * 4
    shared = await catalog.load("shared")
    assert shared.received.parts == (Part(0, 200, crc64(bytes(range(200))), 1.0),)
    assert len(await catalog.uploads()) == 201
    check_sound(path)


async def test_two_catalogs_see_each_others_changes(path: Path, catalog: SqliteCatalog) -> None:
    other = SqliteCatalog(path)
    await catalog.create(new_upload("u"))
    dice = random.Random(3)

    async def bring(at: int) -> Upload:
        part = Part(at, at + 1, 0, 1.0)
        one, another = dice.choices((catalog, other), k=2)
        await one.update("u", lambda u: u.lease(part.range, "t", 1.0))
        return await another.update("u", lambda u: u.record("t", (part,)))

    for at in range(100):
        assert (await bring(at)).offset == at + 1
    await other.forget(["u"])
    again = await catalog.create(new_upload("u"))
    assert await other.update("u", lambda u: u) == again
    await other.close()


def test_an_io_error_takes_back_nothing_and_passes(path: Path, start: Start) -> None:
    process = start("hit_a_limit.py", path)
    out, err = process.communicate(timeout=CHECK_TIMEOUT)
    assert (process.returncode, out) == (0, "Storage failed: disk I/O error.\n"), err
    check_sound(path)


async def test_the_log_is_written_back_and_does_not_grow(
    path: Path, catalog: SqliteCatalog
) -> None:
    log = path.with_name(path.name + "-wal")
    await catalog.create(new_upload("u", length=1 << 40))
    sizes = []
    for number in range(2 * CHECKPOINT_AFTER):
        await catalog.update("u", take_over(number))
        sizes.append(log.stat().st_size)
    assert sizes[-1] == sizes[CHECKPOINT_AFTER]
    with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as without_log:
        assert without_log.execute("SELECT count(*) FROM leases").fetchone()[0] == 1
    without_log.close()


async def test_nobody_commits_while_the_log_is_written_back(
    path: Path, catalog: SqliteCatalog
) -> None:
    """Before SQLite 3.51.3 such a commit can be lost."""
    await catalog.create(new_upload("u", length=1 << 40))
    tried = []

    def try_to_write(dbapi: sqlite3.Connection, *_: object) -> None:
        stranger = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            stranger.execute("BEGIN IMMEDIATE")
            tried.append("committed")
        except sqlite3.OperationalError as error:
            tried.append(str(error))
        stranger.close()

    event.listen(Engine, "checkout", try_to_write)
    try:
        for number in range(CHECKPOINT_AFTER):
            await catalog.update("u", take_over(number))
    finally:
        event.remove(Engine, "checkout", try_to_write)
    assert set(tried) == {"database is locked"}
