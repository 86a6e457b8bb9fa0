"""The database of the workflow engine.

Rule 1: DBOS gets the SQL functions that it needs, whatever SQLite this Python is linked with.
From Python 3.12 on, DBOS uses `unixepoch('subsec')` in its queries and in the defaults of its
tables. SQLite has it since 3.42; an older SQLite returns NULL, and every insert fails. A file
keeps the defaults that it was made with, so this does not depend on the Python that runs now.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

#: The first SQLite that knows fractions of a second.
SUBSECONDS = (3, 42)


class Connection(sqlite3.Connection):
    """A connection to SQLite with `unixepoch('subsec')`, whatever its version."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if sqlite3.sqlite_version_info < SUBSECONDS:
            self.create_function("unixepoch", 1, unixepoch)


def unixepoch(modifier: str) -> float:
    """SQLite's own: Unix seconds, to the millisecond. Raises `ValueError` for another modifier."""
    if modifier != "subsec":
        raise ValueError(modifier)
    return round(time.time(), 3)


def engine_options(database_url: str) -> dict[str, Any]:
    """What DBOS hands to SQLAlchemy for this database, as its `db_engine_kwargs`."""
    if not database_url.startswith("sqlite"):
        return {}
    return {"connect_args": {"factory": Connection}}
