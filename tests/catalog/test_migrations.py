"""The tables come to be by migrations alone, whoever starts first."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Engine, create_engine, event

from wherry.catalog.sql.migrations import VERSION_TABLE
from wherry.catalog.sql.tables import metadata
from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.catalog.sqlite.connections import migrate, open_engine, parse_url
from wherry.core.ranges import Part
from wherry.core.upload import State
from wherry.testing.catalog.scene import PATIENCE

pytestmark = pytest.mark.anyio


def schema(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL")
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


def test_migrations_and_tables_make_the_same_schema(path: Path, tmp_path: Path) -> None:
    migrated(path)
    engine = create_engine(f"sqlite:///{tmp_path / 'tables.db'}")
    metadata.create_all(engine)
    engine.dispose()
    assert schema(path) == schema(tmp_path / "tables.db")
    assert len(schema(path)) > len(metadata.tables)


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005"])
async def test_a_catalog_of_an_older_version_keeps_its_uploads(path: Path, revision: str) -> None:
    engine = open_engine(parse_url(path), 2)
    migrate(engine, revision)
    engine.dispose()
    before = schema(path)
    with sqlite3.connect(path) as connection:
        connection.execute(
            'INSERT INTO uploads (id, owner, filename, "limit", length, chunk_size, created_at,'
            " metadata, state, slot_until) VALUES ('old', 'o', 'film.mp4', 100, 100, 10, 5.0,"
            " '{}', 'complete', 0.0)"
        )
        connection.execute("INSERT INTO parts VALUES ('old', 0, 100, 7, 1.0)")
        connection.execute(
            "INSERT INTO assessments (id, upload_id, owner, created_at, state, attempts,"
            " leased_until, steps) VALUES ('of-old', 'old', 'o', 0.0, 'done', 1, 0.0, '[]')"
        )
    connection.close()
    catalog = SqliteCatalog(path)
    upload = await catalog.load("old")
    assert await catalog.uploads({State.COMPLETE}, "o") == [upload]
    # From 0005 on it is recorded, and this row said nothing of it.
    assert (upload.created_at, upload.began_at) == (5.0, 5.0 if revision < "0005" else 0.0)
    assert upload.received.parts == (Part(0, 100, 7, 1.0),)
    assert [found.id for found in await catalog.assessments()] == ["of-old"]
    assert await catalog.used() == 100
    await catalog.close()
    assert schema(path) != before


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
    with pytest.raises(CommandError, match="9999"):
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
    ended = [process.communicate(timeout=PATIENCE) for process in starting]
    assert ended == [("open\n", "")] * 4
