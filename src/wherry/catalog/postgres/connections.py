"""Connections to PostgreSQL that keep what is committed, and that let go when a process hangs.

Rule 1: `synchronous_commit` is never `off`: a commit has reached the disk when it returns.

Rule 2: a transaction in which nothing happens for `IDLE_TIMEOUT` is ended by the server, with all
its locks. So a machine that was suspended holds up no other, and its commit fails when it wakes up.

Rule 3: all tables are in a schema of our own, so that an application may share its database.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import psycopg
from psycopg import errors
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from wherry.catalog.sql import migrations
from wherry.core.errors import DiskFull, StorageFailed, UploadError

log = logging.getLogger("wherry.catalog")

#: Not `wherry`: PostgreSQL looks into a schema with the name of the role before all others, so an
#: application that shares the role would find our tables in place of its own.
SCHEMA: Final = "wherry_catalog"
#: How long a connection may take to open, in seconds.
CONNECT_TIMEOUT = 5
#: After this time without an answer from the other machine, a connection has broken, in seconds.
NETWORK_TIMEOUT = 6
#: Rule 2, in seconds.
IDLE_TIMEOUT = 3
#: How long a statement may wait for another transaction, and how long it may take, in seconds.
LOCK_TIMEOUT, STATEMENT_TIMEOUT = 10, 30
#: The oldest version that has all that is used here (`idle_session_timeout`).
OLDEST = 14
#: The lock of the process that brings the tables up to date, and of the one that admits uploads.
MIGRATING, ADMITTING = 0x77_68_65_72_72_79_01, 0x77_68_65_72_72_79_02

_DRIVERS = "postgres", "postgresql", "postgresql+psycopg"
#: Errors after which the connection is of no use: the server ends it, or the network has.
_BROKEN = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})


def parse_url(where: str) -> URL:
    """`postgresql://…`. Raises `ValueError` for any other database."""
    try:
        url = make_url(where)
    except ArgumentError as error:
        raise ValueError("the database is not a URL such as postgresql://user@host/name") from error
    if url.drivername not in _DRIVERS:
        raise ValueError(
            f"the catalog does not know {url.drivername}; give a URL that begins with "
            "postgresql://, or leave `database` out to use SQLite in the data folder"
        )
    return url.set(drivername="postgresql+psycopg")


def libpq_url(url: URL) -> str:
    """The same database, as libpq names it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def open_engine(url: URL, connections: int) -> Engine:
    """An engine that keeps up to so many connections, and opens more when they are in use."""
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=-1,
        connect_args=connect_arguments(),
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def connect_arguments(timeout: int = NETWORK_TIMEOUT) -> dict[str, Any]:
    """What every connection is opened with, in the words of libpq.

    `timeout`: as `NETWORK_TIMEOUT`, for this connection.
    """
    return {
        "autocommit": True,  # transactions begin by a statement of ours
        "connect_timeout": CONNECT_TIMEOUT,
        "application_name": "wherry",
        "keepalives_idle": 1,
        "keepalives_interval": 1,
        "keepalives_count": max(timeout - 1, 1),
        "tcp_user_timeout": timeout * 1000,
    }


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for name, value in (
        ("search_path", SCHEMA),
        ("idle_in_transaction_session_timeout", f"{IDLE_TIMEOUT}s"),
        ("lock_timeout", f"{LOCK_TIMEOUT}s"),
        ("statement_timeout", f"{STATEMENT_TIMEOUT}s"),
    ):
        cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
    cursor.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )
    cursor.close()


def prepare_database(engine: Engine) -> None:
    """Bring the tables up to date; of processes that do so at once, one does it.

    Raises `RuntimeError` for a server that is too old, and as `migrations.migrate` does.
    """
    with engine.connect() as connection, connection.begin():
        version, fsync = connection.execute(
            text("SELECT current_setting('server_version_num')::int, current_setting('fsync')")
        ).one()
        if version < OLDEST * 10_000:
            raise RuntimeError(
                f"PostgreSQL {version // 10_000} is too old; the catalog needs {OLDEST} or newer"
            )
        if fsync == "off":
            log.warning(
                "PostgreSQL runs with fsync=off: a power cut may damage the catalog and lose "
                "what was acknowledged"
            )
        # One process loads Alembic in between, and the others wait for it: on a busy machine, that
        # takes longer than a unit of work may.
        for limit in ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout"):
            connection.execute(text(f"SET LOCAL {limit} = '60s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATING})"))
        if connection.scalar(text(f"SELECT to_regnamespace('{SCHEMA}')")) is None:
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        migrations.migrate(connection)


def failure(error: BaseException) -> UploadError | None:
    """The error to raise instead, if the server or the network is to blame; otherwise None."""
    if isinstance(error, StorageFailed):
        return error
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, errors.DiskFull):
        return DiskFull()
    if isinstance(cause, (errors.QueryCanceled, errors.LockNotAvailable)):
        return StorageFailed("the database took too long")
    if isinstance(cause, errors.ReadOnlySqlTransaction):
        return StorageFailed("the database is read-only; it may be a standby")
    if isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError)) or is_broken(error):
        return StorageFailed(f"the database cannot be used: {_sentence(cause)}")
    return None


def is_broken(error: BaseException) -> bool:
    """Whether this error says that the connection has ended."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.InterfaceError):
        return True
    if not isinstance(cause, psycopg.Error):
        return False
    state = cause.sqlstate
    if state is None:
        return isinstance(cause, psycopg.OperationalError)
    return state in _BROKEN or state.startswith("08")


def is_undecided(error: BaseException) -> bool:
    """Whether this transaction was rolled back in favour of another one.

    They waited for each other, or both inserted the same row: a lock that would have kept them
    apart is one of a row, too.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    lost = (errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation)
    return isinstance(cause, lost)


def _sentence(error: BaseException | None) -> str:
    return " ".join(str(error).split()).rstrip(".")
