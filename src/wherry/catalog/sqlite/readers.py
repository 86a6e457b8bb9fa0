"""Queries, on connections that are kept open for them.

Rule 1: a query is one transaction. It never waits for the writer.

Rule 2: a thread that may block runs its query itself (`ask`). An event loop submits it to
`Threads`.

Rule 3: each running query has a connection of its own. Up to `KEPT` of them stay open afterwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from wherry.catalog.sql.session import Compiler, Session
from wherry.catalog.sqlite import connections

T = TypeVar("T")
Query = Callable[[Session], T]

#: How many connections stay open while no query runs on them.
KEPT = 24


class Readers:
    """Runs queries in any thread. `check_present` raises while the database's files are away."""

    def __init__(
        self, engine: Engine, compiler: Compiler, check_present: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._compiler = compiler
        self._check_present = check_present
        self._idle: deque[Session] = deque()
        self._closed = False

    def ask(self, query: Query[T]) -> T:
        """Run `query` here. Raises `StorageFailed`, and `RuntimeError` after `close`."""
        if self._closed:
            raise RuntimeError("the catalog is closed")
        self._check_present()
        try:
            session = self._take()
            try:
                session.run("BEGIN")
                answer = query(session)
                session.run("COMMIT")
            except SQLAlchemyError:
                session.drop()
                raise
            except BaseException:
                session.run("ROLLBACK")
                self._give_back(session)
                raise
        except SQLAlchemyError as error:
            raise connections.failure(error) or error from error
        self._give_back(session)
        return answer

    def _take(self) -> Session:
        try:
            return self._idle.pop()
        except IndexError:
            return Session(self._engine.raw_connection(), self._compiler)

    def _give_back(self, session: Session) -> None:
        if len(self._idle) < KEPT:
            self._idle.append(session)
        else:
            session.drop()
        if self._closed:
            self._drop_idle()

    def _drop_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().drop()

    def close(self) -> None:
        """Close all connections; those in use, when their query ends."""
        self._closed = True
        self._drop_idle()


class Threads:
    """Threads that run queries for event loops."""

    def __init__(self, readers: Readers, count: int, name: str) -> None:
        self._readers = readers
        self._asked: SimpleQueue[tuple[Query[Any], Future[Any]] | None] = SimpleQueue()
        self._lock = Lock()
        self._closed = False
        self._threads = [
            Thread(target=self._serve, name=f"{name}-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, query: Query[T]) -> Future[T]:
        """Run `query` on one of them. The future raises what `Readers.ask` raises."""
        answer: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the catalog is closed")
            self._asked.put((query, answer))
        return answer

    def _serve(self) -> None:
        while (asked := self._asked.get()) is not None:
            self._answer(*asked)
            del asked

    def _answer(self, query: Query[T], answer: Future[T]) -> None:
        if answer.set_running_or_notify_cancel():
            try:
                result = self._readers.ask(query)
            except BaseException as error:
                answer.set_exception(error)
            else:
                answer.set_result(result)

    def close(self) -> None:
        """Answer what was asked, then end the threads."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._asked.put(None)
        for thread in self._threads:
            thread.join()
