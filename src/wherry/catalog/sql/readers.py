"""Queries, on connections that are kept open for them.

Rule 1: a query is one transaction. It never waits for the writer.

Rule 2: a thread that may block runs its query itself (`ask`). An event loop submits it to
`Threads`.

Rule 3: each running query has a connection of its own. Up to `kept` of them stay open afterwards.

Rule 4: a connection that broke while no query ran on it says nothing about the database. The query
that finds it broken gets another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from wherry.catalog.sql.session import Session

T = TypeVar("T")
Query = Callable[[Session], T]


class Readers:
    """Runs queries in any thread."""

    def __init__(
        self,
        connect: Callable[[], Session],
        failure: Callable[[BaseException], BaseException | None],
        *,
        kept: int,
        most: int | None = None,
        begin: str = "BEGIN",
        is_broken: Callable[[BaseException], bool] = lambda _: False,
        check_present: Callable[[], None] = lambda: None,
    ) -> None:
        """`failure`: the error to raise instead of one of the database's, as in `Grouping`.

        `most`: how many queries run at once; others wait. None: any number. `is_broken`: whether
        this error says that the connection has ended. `check_present` raises while the database's
        files are away.
        """
        self._connect, self._failure = connect, failure
        self._begin, self._kept = begin, kept
        self._is_broken, self._check_present = is_broken, check_present
        self._free = None if most is None else Semaphore(most)
        self._idle: deque[Session] = deque()
        self._closed = False

    def ask(self, query: Query[T]) -> T:
        """Run `query` here. Raises `StorageFailed`, and `RuntimeError` after `close`."""
        if self._closed:
            raise RuntimeError("the catalog is closed")
        self._check_present()
        with self._free or nullcontext():
            try:
                return self._ask(query)
            except SQLAlchemyError as error:
                raise self._failure(error) or error from error

    def _ask(self, query: Query[T]) -> T:
        while True:
            session, is_new = self._take()
            try:
                with session.at_once():
                    session.run(self._begin)
                    answer = query(session)
                    session.run("COMMIT")
            except SQLAlchemyError as error:
                session.drop()
                if is_new or not self._is_broken(error):
                    raise
                continue  # Rule 4
            except BaseException:
                session.run("ROLLBACK")
                self._give_back(session)
                raise
            self._give_back(session)
            return answer

    def _take(self) -> tuple[Session, bool]:
        """A connection, and whether it is a new one."""
        try:
            return self._idle.pop(), False
        except IndexError:
            return self._connect(), True

    def _give_back(self, session: Session) -> None:
        if len(self._idle) < self._kept:
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
