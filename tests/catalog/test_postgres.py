"""What only the catalog in PostgreSQL promises: many processes, restarts, machines that hang."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from asyncio import wrap_future
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, DateTime, Double, MetaData, Table, Text, text
from sqlalchemy.dialects import postgresql
from tests.catalog.earlier import UPLOAD, check_filled, fill

from wherry.catalog.postgres import connections
from wherry.catalog.postgres.catalog import PostgresCatalog
from wherry.catalog.postgres.moving import move_records
from wherry.catalog.sql import queries
from wherry.catalog.sql.migrations import HEAD, VERSION_TABLE
from wherry.catalog.sql.tables import metadata
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.admission import Queue
from wherry.core.assessment import Assessment
from wherry.core.errors import NoRoom, StorageFailed, Superseded, TicketUsedUp
from wherry.core.ranges import Part, Range
from wherry.core.upload import UNFINISHED, State, Upload
from wherry.testing.catalog.fixtures import CHECK_TIMEOUT, new_ticket, new_upload, together
from wherry.testing.postgres import Postgres

pytestmark = pytest.mark.anyio

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
async def catalog(database: str) -> AsyncIterator[PostgresCatalog]:
    catalog = PostgresCatalog(database)
    yield catalog
    await catalog.close()


@pytest.fixture
async def other(database: str, catalog: PostgresCatalog) -> AsyncIterator[PostgresCatalog]:
    """The catalog as another process has it."""
    other = PostgresCatalog(database)
    yield other
    await other.close()


def test_every_connection_keeps_what_is_committed_and_lets_go_in_time(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off")
    try:
        engine = connections.open_engine(connections.parse_url(database), 1)
        connection = engine.raw_connection()
        cursor = connection.cursor()

        def setting(name: str) -> object:
            cursor.execute(f"SHOW {name}")
            found = cursor.fetchone()
            assert found is not None
            return found[0]

        assert setting("synchronous_commit") == "on"
        assert setting("idle_in_transaction_session_timeout") == f"{connections.IDLE_TIMEOUT}s"
        assert setting("lock_timeout") == f"{connections.LOCK_TIMEOUT}s"
        assert setting("search_path") == connections.SCHEMA
        connection.close()
        engine.dispose()
    finally:
        with psycopg.connect(database, autocommit=True) as session:
            session.execute("ALTER ROLE CURRENT_USER RESET synchronous_commit")


@pytest.mark.parametrize("url", ["mysql://u@h/d", "sqlite:///x", "postgresql+asyncpg://u@h/d", "x"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://"):
        PostgresCatalog(url)


def test_a_database_that_does_not_answer_is_said_so_without_its_password() -> None:
    with pytest.raises(StorageFailed, match="the database cannot be used") as refused:
        PostgresCatalog("postgresql://somebody:secret@127.0.0.1:1/wherry")
    assert "secret" not in str(refused.value)


# Tables.


def check_schema(connection: Connection) -> None:
    """Alembic finds nothing to add, and the newest revision is recorded."""
    both = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.tables.values():
        table.to_metadata(both)
    Table(
        "beats",
        both,
        Column("name", Text, primary_key=True),
        Column("shown", Double, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
    )
    options = {"version_table": VERSION_TABLE, "compare_type": True}
    assert compare_metadata(MigrationContext.configure(connection, opts=options), both) == []
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).all()
    assert found == [(HEAD,)]


def test_the_migrations_make_all_tables(database: str) -> None:
    engine = connections.open_engine(connections.parse_url(database), 1)
    connections.prepare_database(engine)
    with engine.connect() as connection:
        check_schema(connection)
    engine.dispose()


async def test_tables_of_the_application_with_the_same_names_are_left_alone(
    database: str, postgres_server: Postgres
) -> None:
    with psycopg.connect(database) as session:
        session.execute("CREATE TABLE uploads (theirs text)")
        session.execute("CREATE TABLE alembic_version (version_num text)")
        session.execute("INSERT INTO alembic_version VALUES ('theirs')")
    catalog = PostgresCatalog(database)
    await catalog.create(new_upload("u"))
    await catalog.close()
    with psycopg.connect(database) as session:
        assert session.execute("SELECT * FROM uploads").fetchall() == []
        assert session.execute("SELECT * FROM alembic_version").fetchall() == [("theirs",)]


def test_a_newer_database_is_refused_untouched(database: str) -> None:
    engine = connections.open_engine(connections.parse_url(database), 1)
    connections.prepare_database(engine)
    engine.dispose()
    with psycopg.connect(database) as session:
        session.execute(f"UPDATE {connections.SCHEMA}.{VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(RuntimeError, match=r"newer Wherry .* 9999"):
        PostgresCatalog(database)


def test_four_processes_that_start_at_once_all_start(database: str, start: Start) -> None:
    start_four(start, database)


async def test_four_processes_that_start_at_once_bring_a_filled_database_up_to_date(
    database: str, start: Start, tmp_path: Path
) -> None:
    engine = connections.open_engine(connections.parse_url(database), 1)
    with engine.connect() as connection, connection.begin():
        connection.execute(text(f"CREATE SCHEMA {connections.SCHEMA}"))
        fill(connection, tmp_path / "before")
    start_four(start, database, UPLOAD)
    with engine.connect() as connection:
        check_schema(connection)
    engine.dispose()
    catalog = PostgresCatalog(database)
    try:
        await check_filled(catalog)
    finally:
        await catalog.close()


def start_four(start: Start, *arguments: str) -> None:
    starting = [start("open_catalog.py", *arguments) for _ in range(4)]
    for process in starting:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in starting:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=CHECK_TIMEOUT) for process in starting]
    assert [process.returncode for process in starting] == [0] * 4, ended


# Several processes.


async def test_processes_together_keep_the_limit_of_open_uploads(
    catalog: PostgresCatalog, other: PostgresCatalog
) -> None:
    limit = 10

    def check(queue: Queue) -> None:
        if queue.open >= limit:
            raise NoRoom

    def arrive(number: int) -> asyncio.Future[Upload]:
        new = replace(
            new_upload(f"u{number}"), state=State.RECEIVING, created_at=1.0, slot_until=9.0
        )
        return wrap_future((catalog, other)[number % 2].submit_create(new, None, check))

    results = await asyncio.gather(*map(arrive, range(60)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == (
        ["NoRoom"] * (60 - limit) + ["Upload"] * limit
    )
    assert (await catalog.queue(1.0)).open == limit


async def test_the_same_file_from_two_processes_is_one_upload(
    catalog: PostgresCatalog, other: PostgresCatalog
) -> None:
    for number in range(10):
        made = [
            each.create(replace(new_upload(f"{name}{number}"), fingerprint=f"film {number}"))
            for name, each in (("a", catalog), ("b", other), ("c", catalog), ("d", other))
        ]
        assert len({upload.id for upload in await asyncio.gather(*made)}) == 1


@pytest.mark.parametrize("requests", [2, 4])
async def test_one_identifier_from_two_processes_is_one_record(
    catalog: PostgresCatalog, other: PostgresCatalog, requests: int
) -> None:
    """As an idempotency key that is sent to two machines gives it."""
    for number in range(10):
        new = replace(new_upload(f"u{number}"), state=State.COMPLETE, length=0)
        assessments = [Assessment(f"a{number}{n}", new.id, "o", 1.0) for n in range(requests)]
        made = [
            wrap_future((catalog, other)[n % 2].submit_create(new, assessment))
            for n, assessment in enumerate(assessments)
        ]
        assert await asyncio.gather(*made) == [new] * requests
    assert len(await catalog.assessments()) == 10


async def test_chunks_of_one_upload_through_two_processes_are_all_kept(
    catalog: PostgresCatalog, other: PostgresCatalog
) -> None:
    count = 200
    await catalog.create(new_upload("u", length=count))

    async def bring(number: int) -> None:
        here, token = (catalog, other)[number % 2], f"t{number}"
        part = Part(number, number + 1, number, 1.0)
        await here.update("u", lambda u: u.lease(part.range, token, 1.0))
        await here.update("u", lambda u: u.record(token, (part,)))

    await asyncio.gather(*map(bring, range(count)))
    both = [await each.load("u") for each in (catalog, other)]
    assert [(u.offset, u.leases) for u in both] == [(count, ())] * 2


async def test_an_upload_with_many_parts_is_read_again_where_another_process_has_added_some(
    catalog: PostgresCatalog, other: PostgresCatalog
) -> None:
    await catalog.create(new_upload("u", length=4000))

    async def bring(here: PostgresCatalog, number: int) -> Upload:
        token, part = f"t{number}", Part(2 * number, 2 * number + 1, number, 1.0)
        await here.update("u", lambda u: u.lease(part.range, token, 1.0))
        return await here.update("u", lambda u: u.record(token, (part,)))

    for number in range(0, 900, 3):
        await bring(catalog, number)
    await asyncio.gather(*(bring(other, number) for number in range(1, 900, 3)))
    after = await bring(catalog, 2)
    assert after == await other.load("u")
    assert after.received.count == 601


async def test_a_lease_follows_the_index_of_those_that_wait(
    catalog: PostgresCatalog, database: str
) -> None:
    for number in range(20):
        new = replace(new_upload(f"u{number}"), state=State.COMPLETE)
        queued = Assessment(f"a{number}", new.id, "o", float(number), priority=number % 3)
        await wrap_future(catalog.submit_create(new, queued))
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    statement = str(queries.QUEUED.compile(dialect=dialect))
    with psycopg.connect(database) as connection:
        connection.execute(f"SET search_path = {connections.SCHEMA}")
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(f"EXPLAIN {statement % {'most': 1}}").fetchall()
    assert "ix_assessments_waiting" in str(plan)
    assert "Sort" not in str(plan)


async def test_a_priority_moves_with_its_assessment(tmp_path: Path, database: str) -> None:
    old = SqliteCatalog(tmp_path / "catalog.sqlite")
    queued = Assessment("a", "u", "o", 1.0, priority=7)
    await wrap_future(old.submit_create(replace(new_upload("u"), state=State.COMPLETE), queued))
    await old.close()
    move_records(tmp_path / "catalog.sqlite", database, lambda: None)
    moved = PostgresCatalog(database)
    try:
        assert await moved.load_assessment("a") == queued
    finally:
        await moved.close()


async def test_every_assessment_has_one_of_many_workers(
    catalog: PostgresCatalog, other: PostgresCatalog
) -> None:
    count = 40
    for number in range(count):
        new = replace(new_upload(f"u{number}"), state=State.COMPLETE)
        queued = Assessment(f"a{number}", new.id, "o", float(number))
        await wrap_future(catalog.submit_create(new, queued))

    async def worker(number: int) -> list[str]:
        leased, here = [], (catalog, other)[number % 2]
        while found := await here.lease_assessment(
            100.0, lambda a: a.lease(f"w{number}", 100.0, 110.0)
        ):
            leased.append(found.id)
        return leased

    found = [id_ for leased in await asyncio.gather(*map(worker, range(8))) for id_ in leased]
    assert sorted(found) == sorted(f"a{number}" for number in range(count))


# Failures.


async def test_a_restart_of_the_server_is_noticed_by_no_caller_that_comes_after_it(
    catalog: PostgresCatalog, postgres_server: Postgres
) -> None:
    await catalog.create(new_upload("u"))
    for number in range(8):  # every thread has a connection
        await catalog.create(new_upload(f"v{number}"))
        await catalog.update(f"v{number}", lambda u: u.lease(Range(0, 1), "t", 1.0))
    postgres_server.restart()
    assert (await catalog.load("u")).id == "u"
    assert (await catalog.update("u", lambda u: u.lease(Range(0, 1), "t", 1.0))).holds("t")
    await catalog.create(new_upload("w"))
    assert len(await catalog.uploads()) == 10


async def test_while_the_server_is_away_every_call_says_so_and_nothing_is_lost(
    catalog: PostgresCatalog, postgres_server: Postgres
) -> None:
    await catalog.create(new_upload("u"))
    postgres_server.stop()
    try:
        for call in (
            catalog.load("u"),
            catalog.update("u", lambda u: u.lease(Range(0, 1), "t", 1.0)),
            catalog.create(new_upload("v")),
        ):
            with pytest.raises(StorageFailed, match="the database cannot be used"):
                await call
    finally:
        postgres_server.start()
    assert (await catalog.load("u")).leases == ()
    assert len(await catalog.uploads()) == 1


async def test_a_process_that_hangs_in_a_transaction_holds_up_no_other_and_records_nothing(
    catalog: PostgresCatalog, other: PostgresCatalog
) -> None:
    await catalog.create(new_upload("u"))
    await catalog.update("u", lambda u: u.lease(Range(0, 1), "old", 1.0))
    inside, go_on = threading.Event(), threading.Event()

    def hang(upload: Upload) -> Upload:
        inside.set()
        assert go_on.wait(CHECK_TIMEOUT)
        return upload.record("old", (Part(0, 1, 7, 1.0),))

    hanging = asyncio.ensure_future(catalog.update("u", hang))
    while not inside.is_set():
        await asyncio.sleep(0.01)
    # The server ends its transaction, and so the lock of the row.
    await other.update("u", lambda u: u.lease(Range(0, 1), "new", 2.0))
    go_on.set()
    # Its commit fails. If that was not sent yet, it is tried again, and finds its lease gone.
    with pytest.raises((StorageFailed, Superseded)):
        await hanging
    upload = await other.load("u")
    assert (upload.received.count, upload.holds("new")) == (0, True)
    with pytest.raises(Superseded):
        await catalog.update("u", lambda u: u.record("old", (Part(0, 1, 7, 1.0),)))


async def test_a_transaction_that_is_rolled_back_for_another_is_tried_again(
    catalog: PostgresCatalog, database: str
) -> None:
    """Another program holds the rows in the other order, so the two wait for each other."""
    await catalog.create(new_upload("a"))
    await catalog.create(new_upload("b"))
    inside, waits = threading.Event(), threading.Event()

    def both(queue: Queue) -> list[str]:
        inside.set()
        waits.wait(CHECK_TIMEOUT)
        return ["a", "b"]

    with psycopg.connect(database, autocommit=True) as session:
        session.execute(f"SET search_path = {connections.SCHEMA}")
        session.execute("SET deadlock_timeout = '60s'")  # so that the catalog finds it first
        session.execute("BEGIN")
        session.execute("SELECT 1 FROM uploads WHERE id = 'b' FOR UPDATE")
        changing = asyncio.ensure_future(catalog.advance(1.0, both, lambda u: u))
        while not inside.is_set():
            await asyncio.sleep(0.01)
        waits.set()
        while not session.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall():
            await asyncio.sleep(0.01)
        await asyncio.to_thread(session.execute, "SELECT 1 FROM uploads WHERE id = 'a' FOR UPDATE")
        session.execute("COMMIT")
    assert [upload.id for upload in await changing] == ["a", "b"]


async def test_a_value_that_the_database_refuses_fails_alone(catalog: PostgresCatalog) -> None:
    async def make(name: str, filename: str) -> Upload:
        return await catalog.create(replace(new_upload(name), filename=filename))

    names = ["film.mp4", "a\0b", "other.mp4"]
    results = await asyncio.gather(
        *(make(f"u{n}", name) for n, name in enumerate(names)), return_exceptions=True
    )
    assert [isinstance(result, Upload) for result in results] == [True, False, True]
    assert len(await catalog.uploads()) == 2


async def test_used_bytes_add_up_over_all_connections(
    catalog: PostgresCatalog, other: PostgresCatalog
) -> None:
    for number in range(12):
        new = replace(new_upload(f"u{number}"), state=State.COMPLETE, length=100)
        await wrap_future((catalog, other)[number % 2].submit_create(new))
    assert await catalog.used() == 1200
    await asyncio.gather(
        *(other.update(f"u{n}", lambda u: u.discard(5.0)) for n in range(0, 12, 2))
    )
    await catalog.forget(["u1", "u0"])
    assert await other.used() == 500


async def test_a_query_sees_one_moment(catalog: PostgresCatalog, other: PostgresCatalog) -> None:
    """Parts and leases change together, and no reader sees half of that."""
    await catalog.create(new_upload("u", length=100_000))
    stop = time.monotonic() + 1.0

    async def bring(part: Part) -> None:
        await catalog.update("u", lambda u: u.lease(part.range, "t", 1.0))
        await catalog.update("u", lambda u: u.record("t", (part,)))

    async def write() -> None:
        at = 0
        while time.monotonic() < stop:
            await bring(Part(at, at + 1, at, 1.0))
            at += 1

    async def read() -> None:
        while time.monotonic() < stop:
            upload = await other.load("u")
            for lease in upload.leases:
                assert lease.range.start == upload.received.end

    await asyncio.gather(write(), read())


async def test_processes_count_what_uploads_use_of_their_tickets(
    catalog: PostgresCatalog, other: PostgresCatalog
) -> None:
    """Those of `cancelled` are, so transactions change several tickets, in any order."""
    one_use, cancelled = [f"{n:02d}" for n in range(20)], ["a", "b"]
    for name in one_use + cancelled:
        await catalog.add_ticket(new_ticket(name))

    async def begin(process: PostgresCatalog, ticket: str, number: int) -> None:
        upload = replace(new_upload(f"{ticket}-{number}"), created_at=2.0, ticket_id=ticket)
        with suppress(TicketUsedUp):
            await process.create(upload)
            if ticket in cancelled:
                await process.update(upload.id, lambda u: u.cancel(3.0))

    for name in one_use:
        attempts = [partial(begin, (catalog, other)[n % 2], name, n) for n in range(8)]
        others = [partial(begin, other, each, int(name)) for each in cancelled]
        await together(*attempts, *others)
    left = [upload.ticket_id for upload in await catalog.uploads(UNFINISHED)]
    used = {ticket.id: ticket.used for ticket in await other.tickets()}
    assert used == dict.fromkeys(one_use, 1) | dict.fromkeys(cancelled, 0)
    assert sorted(filter(None, left)) == one_use
