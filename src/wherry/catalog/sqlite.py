"""SQLite, opened so that what is committed survives power loss.

Rule 1: every connection has WAL and `synchronous=FULL`; if it does not get
them, it is not opened.

Rule 2: only the first connection may make the file. A later one that did would make an
empty database where the catalog was a moment ago.

Rule 3: the log is written back (checkpoint) only while one of our own
transactions keeps every other writer out. Before 3.51.3, SQLite can lose
committed pages when a commit begins the log anew during a checkpoint.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from wherry.core.errors import DiskFull, StorageFailed, UploadError

log = logging.getLogger("wherry.catalog")

#: Seconds that one process waits for another to end its transaction.
PATIENCE = 10.0
#: The name of the execution option of connections that write.
WRITES = "wherry_writes"
_FULL = 2


def parse_url(where: str | Path) -> URL:
    """A path, or `sqlite:///path`. Raises `ValueError` for any other database."""
    if isinstance(where, Path) or "://" not in where:
        return URL.create("sqlite", database=str(where))
    url = make_url(where)
    if url.get_backend_name() != "sqlite":
        raise ValueError(f"the catalog does not know {url.get_backend_name()}, only sqlite")
    return url


def open_engine(
    url: URL, connections: int, may_create: Callable[[], bool] = lambda: True
) -> Engine:
    """An engine for at most so many connections at once.

    `may_create`: whether connecting may make the file. Connecting raises `RuntimeError`
    where the database cannot keep what it is told.
    """
    engine = create_engine(
        url,
        creator=lambda: connect(url, may_create()),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def connect(url: URL, may_create: bool) -> sqlite3.Connection:
    """Raises `sqlite3.OperationalError` where the file is not there and may not be made."""
    path, name = path_of(url), ":memory:"
    if path is not None:
        name = f"file:{quote(str(path))}?mode={'rwc' if may_create else 'rw'}"
    return sqlite3.connect(
        name,
        uri=path is not None,
        timeout=PATIENCE,
        isolation_level=None,  # sqlite3 begins no transactions of its own accord
        check_same_thread=False,
    )


def path_of(url: URL) -> Path | None:
    """The database's file; None for one in memory."""
    return Path(url.database) if url.database and url.database != ":memory:" else None


def writing(engine: Engine) -> Connection:
    """A connection whose transactions take the write lock as they begin."""
    return engine.connect().execution_options(**{WRITES: True})


def failure(error: BaseException) -> UploadError | None:
    """What the disk did to us, as the error to raise; None: it was not the disk."""
    if isinstance(error, StorageFailed):
        return error
    if not isinstance(error, DatabaseError):
        return None
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is None or not _is_the_disks(error):
        return None
    primary = code & 0xFF
    # The index of the log has an error of its own for a full disk.
    is_full = primary == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE
    return DiskFull() if is_full else StorageFailed(str(error.orig))


def checkpoint(engine: Engine, writer: Connection) -> None:
    """Write the log back into the database, as far as readers allow, without waiting for them."""
    # A crash here leaves the log as it was: SQLite reads it when it is opened next.
    with writer.begin():
        helper = engine.raw_connection()
        try:
            helper.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").close()
        finally:
            helper.close()


def data_version(writer: Connection) -> int:
    """Changes when another connection has committed; to be asked inside a transaction."""
    return int(writer.exec_driver_sql("PRAGMA data_version").scalar_one())


def _is_the_disks(error: DatabaseError) -> bool:
    # A database that is damaged or no database at all has no class of its own.
    return isinstance(error, OperationalError) or type(error) is DatabaseError


def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    try:
        _make_durable(cursor)
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA wal_autocheckpoint=0")  # Rule 3
        cursor.close()
    except BaseException:
        connection.close()
        raise


def _make_durable(cursor: DBAPICursor) -> None:
    journal = _use_wal(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA fullfsync=ON")  # macOS: without it, fsync stops at the drive
    synchronous = _answer(cursor, "PRAGMA synchronous")
    if (journal, synchronous) != ("wal", _FULL):
        raise RuntimeError(
            f"SQLite gives journal_mode={journal}, synchronous={synchronous} here; "
            "the catalog needs WAL and FULL to keep what it has acknowledged"
        )


def _use_wal(cursor: DBAPICursor) -> str:
    """The journal mode after asking for WAL, which another process may be setting just now."""
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return str(_answer(cursor, "PRAGMA journal_mode=WAL"))
        except sqlite3.OperationalError as error:
            # SQLite does not wait by itself here.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
        time.sleep(0.01)


def _answer(cursor: DBAPICursor, question: str) -> object:
    cursor.execute(question)
    row = cursor.fetchone()
    return None if row is None else row[0]


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
