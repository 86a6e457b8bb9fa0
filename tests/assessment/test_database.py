"""The workflow engine's database works with every SQLite that a Python may be linked with."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy

from wherry.assessment import database
from wherry.assessment.database import Connection, engine_options


@pytest.fixture(params=["the SQLite that is here", "one from before 3.42"])
def any_sqlite(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "the SQLite that is here":
        monkeypatch.setattr(database, "SUBSECONDS", (99,))


@pytest.mark.usefixtures("any_sqlite")
def test_a_table_of_dbos_fills_its_times_in_itself(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/dbos.sqlite"
    engine = sqlalchemy.create_engine(url, **engine_options(url))
    before = time.time() * 1000 - 1
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE t (x INTEGER, at INTEGER NOT NULL DEFAULT (unixepoch('subsec') * 1000))"
        )
        connection.exec_driver_sql("INSERT INTO t (x) VALUES (1)")
        at = connection.exec_driver_sql("SELECT at FROM t").scalar_one()
    engine.dispose()
    assert before <= at <= time.time() * 1000 + 1


def test_only_what_is_asked_for_is_answered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(database, "SUBSECONDS", (99,))
    with (
        closing(sqlite3.connect(tmp_path / "x", factory=Connection)) as connection,
        pytest.raises(sqlite3.OperationalError, match="user-defined function raised exception"),
    ):
        connection.execute("SELECT unixepoch('now')")


def test_another_database_is_left_alone() -> None:
    assert engine_options("postgresql://localhost/wherry") == {}
