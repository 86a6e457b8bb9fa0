"""The workflow engine's own database.

Rule 1: whatever SQLite this Python is linked with, DBOS gets the functions that it
asks for. It takes `unixepoch('subsec')`, which SQLite has since 3.42, for granted from
Python 3.12 on, in its queries and in the defaults of its tables; an older SQLite
answers NULL, and every insert fails. A file remembers which defaults it was made with,
so this does not depend on the Python that runs now.
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
