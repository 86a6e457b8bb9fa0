"""`wherry migrate`, as the Job of the chart runs it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect
from tests.cli.command import wherry

from wherry.catalog.sql.migrations import VERSION_TABLE
from wherry.testing.server import Server


def tables(database: str) -> list[str]:
    engine = create_engine(database)
    try:
        return inspect(engine).get_table_names(schema="wherry_catalog")
    finally:
        engine.dispose()


def test_migrate_makes_the_tables_of_a_database_and_finds_them_again(
    database: str, tmp_path: Path
) -> None:
    environment = {"WHERRY_DATABASE": database, "WHERRY_DATA": str(tmp_path)}
    assert tables(database) == []
    for _ in range(2):
        done = wherry("migrate", environment=environment)
        assert done.stdout == "The tables are up to date.\n"
        assert "uploads" in tables(database)


def test_migrate_fails_if_the_database_does_not_answer(tmp_path: Path) -> None:
    # Nothing listens on port 1.
    environment = {
        "WHERRY_DATABASE": "postgresql://wherry@127.0.0.1:1/wherry",
        "WHERRY_DATA": str(tmp_path),
    }
    failed = wherry("migrate", environment=environment, code=1)
    assert "wherry" in failed.stderr


def test_after_a_step_back_to_an_older_version_the_server_says_what_to_do(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    wherry("migrate", "--data", data)
    with closing(sqlite3.connect(data / "catalog.sqlite")) as catalog, catalog:
        catalog.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(RuntimeError, match="a newer Wherry has changed"):
        Server(data).start()


def test_migrate_makes_the_catalog_in_the_data_folder_without_a_database(tmp_path: Path) -> None:
    wherry("migrate", "--data", tmp_path)
    assert list(tmp_path.glob("*.sqlite"))
