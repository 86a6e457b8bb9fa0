"""The application's own database: users, sessions, assessments."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BACKEND = Path(__file__).resolve().parent

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, salt BLOB NOT NULL, password BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS sessions (
    token BLOB PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users, expires REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS assessments (
    id TEXT PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users, filename TEXT NOT NULL,
    video TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'queued', result TEXT
);
"""


@contextmanager
def connect() -> Iterator[sqlite3.Connection]:
    """A connection whose changes are kept if the block ends well, and then it is closed."""
    database = sqlite3.connect(BACKEND / "app.sqlite")
    try:
        with database:
            yield database
    finally:
        database.close()


with connect() as _database:
    _database.executescript(SCHEMA)
