"""Migrations alone create and change the tables, whichever process starts first."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, event, insert
from sqlalchemy.exc import OperationalError
from tests.catalog.earlier import check_filled, fill, migrate_to

from wherry.catalog.sql import migrations
from wherry.catalog.sql.migrations import VERSION_TABLE
from wherry.catalog.sql.tables import metadata, paths
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.catalog.sqlite.connections import migrate, open_engine, parse_url, writing
from wherry.core.paths import Path as KnownPath
from wherry.core.paths import Report
from wherry.core.ranges import Part, Range
from wherry.testing.catalog.fixtures import CHECK_TIMEOUT, new_upload

pytestmark = pytest.mark.anyio


def schema(path: Path, of: tuple[str, ...] = ("table", "index", "trigger")) -> dict[str, str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql NOT NULL "
            f"AND type IN ({', '.join('?' * len(of))})",
            of,
        ).fetchall()
        found = {name: " ".join(sql.split()) for name, sql in rows if name != VERSION_TABLE}
    connection.close()
    return found


def migrated(path: Path) -> None:
    engine = open_engine(parse_url(path), 2)
    migrate(engine)
    engine.dispose()


def test_alembic_finds_nothing_to_add_to_the_migrations(path: Path) -> None:
    migrated(path)
    engine = open_engine(parse_url(path), 2)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_newest_revision_is_known(path: Path) -> None:
    migrated(path)
    with sqlite3.connect(path) as connection:
        found = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()
    connection.close()
    assert found == [(migrations.HEAD,)]


def test_migrations_and_tables_make_the_same_schema(path: Path, tmp_path: Path) -> None:
    migrated(path)
    engine = create_engine(f"sqlite:///{tmp_path / 'tables.db'}")
    metadata.create_all(engine)
    engine.dispose()
    here = schema(path, of=("table", "index"))
    assert here == schema(tmp_path / "tables.db")
    assert len(here) > len(metadata.tables)


ADDS_NOTES = f"""
import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{migrations.HEAD}"


def upgrade() -> None:
    op.add_column("uploads", sa.Column("notes", sa.Text))
    op.execute("UPDATE uploads SET notes = filename")
"""


def migrated_further(path: Path, folder: Path, second: str) -> None:
    """Run the migrations as a later version would have them, with `second` as the next one."""
    if not folder.exists():
        location = Path(migrations.__file__).parent
        shutil.copytree(location, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "v9000_notes.py").write_text(second)
    engine = open_engine(parse_url(path), 2)
    try:
        with writing(engine) as connection, connection.begin():
            migrations.migrate(connection, str(folder))
    finally:
        engine.dispose()


async def test_a_later_version_keeps_the_uploads_and_this_one_refuses_its_tables(
    path: Path, tmp_path: Path, catalog: SqliteCatalog
) -> None:
    await catalog.create(new_upload("u"))
    upload = await catalog.update("u", lambda u: u.lease(Range(0, 10), "t", 1.0))
    upload = await catalog.update("u", lambda u: u.record("t", (Part(0, 10, 7, 1.0),)))
    migrated_further(path, tmp_path / "later", ADDS_NOTES)
    assert await catalog.load("u") == upload
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT notes FROM uploads").fetchall() == [("film.mp4",)]
    connection.close()
    later = schema(path)
    migrated_further(path, tmp_path / "later", ADDS_NOTES)
    assert schema(path) == later
    with pytest.raises(RuntimeError, match=r"newer Wherry .* 9000"):
        SqliteCatalog(path)


def migrated_to(number: int, path: Path, folder: Path) -> Engine:
    """Run the migrations up to this one, copied into a new folder."""
    engine = open_engine(parse_url(path), 2)
    with writing(engine) as connection, connection.begin():
        migrate_to(number, connection, folder)
    return engine


async def test_paths_of_before_are_kept_with_reports_that_nobody_has_denied(
    path: Path, tmp_path: Path
) -> None:
    """As version 0010 left them."""
    engine = migrated_to(10, path, tmp_path / "before")
    report = {"reporter": "r", "size": 7, "at": 4.0, "passed": 6, "by": "nginx"}
    row = {"host": "a", "seen_at": 5.0, "passes": 6, "passed_at": 4.0, "reports": [report]}
    with writing(engine) as connection, connection.begin():
        connection.execute(insert(paths).values(row))
    engine.dispose()
    catalog = SqliteCatalog(path)
    try:
        known = KnownPath("a", 5.0, 6, 4.0, (Report("r", 7, 4.0, 6, "nginx"),))
        assert await catalog.paths() == {"a": known}
    finally:
        await catalog.close()


async def test_assessments_of_before_have_the_usual_priority_and_no_try(
    path: Path, tmp_path: Path
) -> None:
    """As version 0004 left them."""
    engine = open_engine(parse_url(path), 2)
    with writing(engine) as connection, connection.begin():
        fill(connection, tmp_path / "before")
    engine.dispose()
    catalog = SqliteCatalog(path)
    try:
        await check_filled(catalog)
        leased = await catalog.lease_assessment(5.0, lambda a: a.lease("w", 5.0, 6.0))
        assert leased is not None
    finally:
        await catalog.close()


def test_a_migration_that_fails_leaves_what_there_was(path: Path, tmp_path: Path) -> None:
    migrated(path)
    before = schema(path)
    with pytest.raises(OperationalError):
        migrated_further(path, tmp_path / "later", ADDS_NOTES.replace("= filename", "= missing"))
    assert schema(path) == before
    migrated_further(path, tmp_path / "later", ADDS_NOTES)
    assert "notes" in schema(path)["uploads"]


def test_migrating_again_changes_nothing(path: Path) -> None:
    migrated(path)
    before = schema(path)
    migrated(path)
    assert schema(path) == before


def test_a_start_that_dies_half_way_leaves_nothing(path: Path) -> None:
    def die(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "CREATE TABLE assessments" in statement:
            raise KeyboardInterrupt

    event.listen(Engine, "before_cursor_execute", die)
    try:
        with pytest.raises(KeyboardInterrupt):
            SqliteCatalog(path)
    finally:
        event.remove(Engine, "before_cursor_execute", die)
    assert schema(path) == {}
    migrated(path)
    assert "assessments" in schema(path)


def test_a_newer_database_is_refused_untouched(path: Path) -> None:
    migrated(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    connection.close()
    before = schema(path)
    with pytest.raises(RuntimeError, match=r"newer Wherry .* 9999"):
        SqliteCatalog(path)
    assert schema(path) == before


def test_the_tables_of_an_application_in_the_same_file_are_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('theirs')")
    connection.close()
    migrated(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("theirs",)]
    connection.close()


def test_logging_stays_as_it_was(path: Path) -> None:
    def configured() -> list[object]:
        loggers = [logging.getLogger(name) for name in (None, "alembic", "sqlalchemy", "wherry")]
        return [(logger.level, tuple(logger.handlers), logger.disabled) for logger in loggers]

    before = configured()
    migrated(path)
    assert configured() == before


def test_four_processes_that_start_at_once_all_start(
    path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """Each waits for a line on its standard input, so that all open the file together."""
    starting = [start("open_catalog.py", path) for _ in range(4)]
    for process in starting:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in starting:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=CHECK_TIMEOUT) for process in starting]
    assert ended == [("open\n", "")] * 4
