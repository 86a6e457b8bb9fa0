"""The catalog in SQLite.

Rule 1: every change goes through the one writer thread. A query never waits for the writer: it
runs on the thread that asks, or on one of the catalog's own for an event loop. Lists have
threads of their own, so that a request that sends a chunk never waits for them.

Rule 2: several processes may open the same file. Nothing is remembered that another process
could change unnoticed.

Rule 3: while the file is missing or replaced, every query and change raises `StorageFailed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from wherry.catalog.awaiting import until_done
from wherry.catalog.sql.catalog import SqlCatalog
from wherry.catalog.sql.operations import Operation
from wherry.catalog.sql.readers import Readers, Threads
from wherry.catalog.sql.session import Compiler, Session
from wherry.catalog.sqlite import connections
from wherry.catalog.sqlite.anchor import Anchor
from wherry.catalog.sqlite.ballast import Ballast
from wherry.catalog.sqlite.writer import Writer
from wherry.core.errors import DiskFull
from wherry.core.webhooks import Outbox

T = TypeVar("T")

#: How many connections stay open while no query runs on them.
KEPT = 24
#: How many queries run at once for event loops.
READERS = 4
#: How many pages of lists are read at once; more requests for pages wait.
LISTERS = 1


class SqliteCatalog(SqlCatalog):
    """The catalog in one SQLite file, with its log and its ballast beside it."""

    def __init__(self, where: str | Path, *, may_create: bool = True) -> None:
        """Open the database at this path or URL, and bring its tables up to date. Blocks.

        `may_create`: whether to make the file if it is missing. Raises `ValueError` for an
        unknown kind of database, `RuntimeError` for one that is not durable or that a newer
        Wherry has changed, `DiskFull` or `StorageFailed` for one that cannot be used.
        """
        # The writer keeps one connection, and needs another one for each checkpoint.
        url = connections.parse_url(where)
        self._anchor: Anchor | None = None
        self._engine = connections.open_engine(
            url, KEPT + 2, may_create=lambda: may_create and self._anchor is None
        )
        self._ballast: Ballast | None = None
        try:
            self._open(url)
        except BaseException as error:
            self._engine.dispose()
            raise connections.failure(error) or error from error
        compiler = Compiler(self._engine.dialect)
        self._readers = Readers(
            lambda: connections.open_session(self._engine, compiler),
            connections.failure,
            kept=KEPT,
            check_present=self._check_present,
        )
        self._threads = Threads(self._readers, READERS, "wherry-catalog-reader")
        self._listers = Threads(self._readers, LISTERS, "wherry-catalog-lister")
        self._writer = Writer(self._engine, compiler, self._check_present, self._ballast)

    def _open(self, url: URL) -> None:
        if (path := connections.path_of(url)) is None:
            connections.migrate(self._engine)
            return
        beside = path.absolute().with_name(f"{path.name}-ballast")
        try:
            connections.migrate(self._engine)
        except SQLAlchemyError as error:
            # On a full disk, even opening needs some room: the ballast of an earlier run is it.
            is_full = isinstance(connections.failure(error), DiskFull)
            if not (is_full and beside.exists() and (ballast := Ballast(beside)).give_up()):
                raise
            self._ballast = ballast
            self._engine.dispose()
            connections.migrate(self._engine)
        self._anchor = Anchor(path.absolute(), connections.connect(url, may_create=False))
        self._ballast = self._ballast or Ballast(beside)
        self._ballast.fill()

    def announce_to(self, outbox: Outbox) -> None:
        self._writer.outbox = outbox

    def _submit(self, operation: Operation[T]) -> Future[T]:
        return self._writer.submit(operation)

    async def _read(self, query: Callable[[Session], T]) -> T:
        return await until_done(self._threads.submit(query))

    async def _read_list(self, query: Callable[[Session], T]) -> T:
        return await until_done(self._listers.submit(query))

    def _read_blocking(self, query: Callable[[Session], T]) -> T:
        return self._readers.ask(query)

    def _check_present(self) -> None:
        if self._anchor is not None:
            self._anchor.check()

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.close()
        self._threads.close()
        self._listers.close()
        self._readers.close()
        self._engine.dispose()
        if self._anchor is not None:
            self._anchor.close()
        if self._ballast is not None:
            self._ballast.close()
