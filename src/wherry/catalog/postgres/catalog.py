"""The catalog in PostgreSQL, for any number of processes on any number of machines.

Rule 1: a query never waits for a change. It runs on the thread that asks, or on one of the
catalog's own for an event loop, and sees the database as it was at one moment.

Rule 2: nothing is remembered that another process could change unnoticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import psycopg

from wherry.catalog.awaiting import until_done
from wherry.catalog.postgres import connections
from wherry.catalog.postgres.session import PostgresSession, compiler
from wherry.catalog.postgres.writers import THREADS, Writers
from wherry.catalog.sql.catalog import SqlCatalog
from wherry.catalog.sql.operations import Operation
from wherry.catalog.sql.readers import Readers, Threads
from wherry.catalog.sql.session import Session
from wherry.core.webhooks import Outbox

T = TypeVar("T")

#: How many queries run at once, for threads and event loops together.
QUERIES = 8
#: How many threads run queries for event loops, and how many run those for lists.
READERS, LISTERS = 4, 1
#: How many connections a process has at most, with those of its locks and of its clock.
CONNECTIONS = QUERIES + THREADS + 1 + 2


class PostgresCatalog(SqlCatalog):
    """The catalog in the database at this URL."""

    def __init__(self, where: str) -> None:
        """Connect, and bring the tables up to date. Blocks.

        Raises `ValueError` for an unknown kind of database, `RuntimeError` for a server that is
        too old or for tables that a newer Wherry has changed, `DiskFull` or `StorageFailed` for one
        that cannot be used.
        """
        self._engine = connections.open_engine(connections.parse_url(where), CONNECTIONS)
        try:
            connections.prepare_database(self._engine)
        except BaseException as error:
            self._engine.dispose()
            raise connections.failure(error) or error from error
        statements = compiler()

        def connect() -> Session:
            try:
                return PostgresSession(self._engine.raw_connection(), statements)
            except psycopg.Error as error:
                raise connections.failure(error) or error from error

        self._readers = Readers(
            connect,
            connections.failure,
            kept=QUERIES,
            most=QUERIES,
            begin="BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            is_broken=connections.is_broken,
        )
        self._threads = Threads(self._readers, READERS, "wherry-catalog-reader")
        self._listers = Threads(self._readers, LISTERS, "wherry-catalog-lister")
        self._writers = Writers(connect)

    def announce_to(self, outbox: Outbox) -> None:
        self._writers.announce_to(outbox)

    def _submit(self, operation: Operation[T]) -> Future[T]:
        return self._writers.submit(operation)

    async def _read(self, query: Callable[[Session], T]) -> T:
        return await until_done(self._threads.submit(query))

    async def _read_list(self, query: Callable[[Session], T]) -> T:
        return await until_done(self._listers.submit(query))

    def _read_blocking(self, query: Callable[[Session], T]) -> T:
        return self._readers.ask(query)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writers.close()
        self._threads.close()
        self._listers.close()
        self._readers.close()
        self._engine.dispose()
