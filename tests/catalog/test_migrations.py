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

from wherry.catalog.catalog import SqlCatalog
from wherry.catalog.migrations import VERSION_TABLE, migrate
from wherry.catalog.sqlite import open_engine, parse_url
from wherry.catalog.tables import metadata
from wherry.testing.catalog.scene import PATIENCE, new_upload

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


async def test_a_catalog_from_before_the_line_keeps_its_uploads(path: Path) -> None:
    migrated(path)
    catalog = SqlCatalog(path)
    await catalog.create(new_upload("old"))
    await catalog.close()
    with sqlite3.connect(path) as connection:  # what it was before
        connection.execute("DROP INDEX ix_uploads_queued_at")
        for column in ("queued_at", "calls_lost", "called_at", "is_named"):
            connection.execute(f"ALTER TABLE uploads DROP COLUMN {column}")
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0001'")
    connection.close()
    catalog = SqlCatalog(path)
    assert await catalog.load("old") == new_upload("old")
    await catalog.close()


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
            SqlCatalog(path)
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
        SqlCatalog(path)
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
