"""Connections to SQLite that keep what is committed through a power loss.

Rule 1: every connection has WAL and `synchronous=FULL`. Where SQLite refuses them, the
connection is not opened.

Rule 2: only the first connection may create the file. If a later one could, it would create
an empty database after the catalog's file was moved away.

Rule 3: the log is written back (checkpoint) only while one of our own transactions keeps
every other writer out. Before 3.51.3, SQLite can lose committed pages when a commit starts
the log from its beginning during a checkpoint.
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
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from wherry.catalog.sql import migrations
from wherry.catalog.sql.session import Compiler, Session
from wherry.core.errors import DiskFull, StorageFailed, UploadError

log = logging.getLogger("wherry.catalog")

#: How long one process waits for another to end its transaction, in seconds.
TIMEOUT = 10.0
#: How often it looks meanwhile, at first and at last, in seconds. SQLite itself would sleep for up
#: to 100 ms, in which the other process commits many times.
LOOK_FIRST, LOOK_LAST = 0.0002, 0.005
#: The execution option that marks connections that write.
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
    """An engine that keeps up to so many connections, and opens more when they are in use.

    `may_create`: whether connecting may create the file. Connecting raises `RuntimeError`
    where SQLite refuses the settings that make commits durable.
    """
    engine = create_engine(
        url,
        creator=lambda: connect(url, may_create()),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=-1,
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def connect(url: URL, may_create: bool) -> sqlite3.Connection:
    """Raises `sqlite3.OperationalError` if the file is missing and may not be created."""
    path, name = path_of(url), ":memory:"
    if path is not None:
        name = f"file:{quote(str(path))}?mode={'rwc' if may_create else 'rw'}"
    return sqlite3.connect(
        name,
        uri=path is not None,
        timeout=TIMEOUT,
        isolation_level=None,  # sqlite3 begins no transaction by itself
        check_same_thread=False,
    )


def path_of(url: URL) -> Path | None:
    """The database's file; None for one in memory."""
    return Path(url.database) if url.database and url.database != ":memory:" else None


def writing(engine: Engine) -> Connection:
    """A connection whose transactions take the write lock when they begin."""
    return engine.connect().execution_options(**{WRITES: True})


def migrate(engine: Engine) -> None:
    """Bring the tables up to date. Raises as `migrations.migrate` does."""
    with writing(engine) as connection, connection.begin():
        migrations.migrate(connection)


def failure(error: BaseException) -> UploadError | None:
    """The error to raise instead, if the disk or the file is to blame; otherwise None."""
    if isinstance(error, StorageFailed):
        return error
    cause = error.orig if isinstance(error, DBAPIError) else error
    # A damaged database, or a file that is no database, has no exception class of its own.
    is_of_the_disk = isinstance(cause, sqlite3.OperationalError) or (
        type(cause) is sqlite3.DatabaseError
    )
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None or not is_of_the_disk:
        return None
    primary = code & 0xFF
    # On a full disk, the index of the log fails with a code of its own.
    is_full = primary == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE
    return DiskFull() if is_full else StorageFailed(str(cause))


def open_session(engine: Engine, compiler: Compiler) -> Session:
    """A session of its own connection. Raises SQLAlchemy's errors, as all its statements do."""
    try:
        return Session(engine.raw_connection(), compiler)
    except sqlite3.Error as error:  # of what is set up on each new connection
        raise DBAPIError.instance(
            None, None, error, sqlite3.Error, True, dialect=engine.dialect
        ) from error


def open_writing(engine: Engine, compiler: Compiler) -> Session:
    """A session for `begin_writing`, to be closed by `drop`."""
    session = open_session(engine, compiler)
    session.run("PRAGMA busy_timeout=0")
    return session


def checkpoint(engine: Engine, writer: Session) -> None:
    """Write the log back into the database, as far as readers allow; it does not wait for them."""
    # A crash here leaves the log unchanged: SQLite reads it at the next start.
    begin_writing(writer)
    helper = engine.raw_connection()
    try:
        helper.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").close()
    finally:
        helper.close()
    writer.run("COMMIT")


def close_log(engine: Engine) -> bool:
    """Write all of the log back and leave WAL. False while any other connection is open.

    Every process that has a catalog keeps a connection open (`anchor`), also while it stops. The
    next connection that is opened returns to WAL. `engine` keeps one connection.
    """
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=DELETE")
        return cursor.fetchone() == ("delete",)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    finally:
        connection.close()


def begin_writing(writer: Session) -> None:
    """Begin a transaction, and keep every other writer out until it ends.

    `writer`: of `open_writing`. Raises SQLAlchemy's error if others write for `TIMEOUT`.
    """
    deadline, pause = time.monotonic() + TIMEOUT, LOOK_FIRST
    while True:
        try:
            writer.run("BEGIN IMMEDIATE")
            return
        except DBAPIError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0)
            if code & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(1.5 * pause, LOOK_LAST)


def data_version(writer: Session) -> int:
    """A number that changes when another connection has committed.

    To be read inside a transaction: then no other connection can commit before it ends.
    """
    return int(writer.run("PRAGMA data_version")[0][0])


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
    synchronous = _value_of(cursor, "PRAGMA synchronous")
    if (journal, synchronous) != ("wal", _FULL):
        raise RuntimeError(
            f"SQLite gives journal_mode={journal}, synchronous={synchronous} here; "
            "the catalog needs WAL and FULL to keep what it has acknowledged"
        )


def _use_wal(cursor: DBAPICursor) -> str:
    """The journal mode after a request for WAL; another process may be setting it right now."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return str(_value_of(cursor, "PRAGMA journal_mode=WAL"))
        except sqlite3.OperationalError as error:
            # Here, SQLite ignores its own timeout.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _value_of(cursor: DBAPICursor, pragma: str) -> object:
    cursor.execute(pragma)
    row = cursor.fetchone()
    return None if row is None else row[0]


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
