"""The one thread that writes: it takes the operations that wait and commits them in groups.

SQLite has one writer at a time, and a commit costs one fsync. Operations that arrive during
a commit share the next one.

Rule 1: an operation's future is resolved after the commit that holds the operation, never
before. A crash at any line leaves a group recorded completely or not at all.

Rule 2: an operation that raises fails alone. When a transaction fails, its whole group
fails, and the writer continues with the next group.

Rule 3: nothing is acknowledged that was committed to a file that is no longer in its place.

Rule 4: a caller that stops waiting does not affect the others. An operation that is
cancelled before its group begins is left out; after that, it is carried out.

Rule 5: what a transaction has read is remembered for the next one (`known`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

from sqlalchemy import Engine

from wherry.catalog.sql.operations import Operation, apply_all
from wherry.catalog.sql.session import Compiler, Session
from wherry.catalog.sql.unit_of_work import UnitOfWork
from wherry.catalog.sqlite import connections
from wherry.catalog.sqlite.ballast import Ballast
from wherry.catalog.sqlite.known import Known
from wherry.core.errors import DiskFull

log = logging.getLogger("wherry.catalog")

T = TypeVar("T")

#: The largest number of operations in one transaction.
GROUP = 128
#: The log is written back after this many rows; they are about as many pages.
CHECKPOINT_AFTER = 1000
#: How often a full disk is checked for room, in seconds.
POLL_INTERVAL = 1.0


@dataclass(eq=False, slots=True)
class _Waiting:
    operation: Operation[Any]
    future: Future[Any] = field(default_factory=Future)


#: The result of an operation, or what it has raised.
_Outcome = tuple[Any, BaseException | None]


def _resolve(group: Sequence[_Waiting], outcomes: Sequence[_Outcome]) -> None:
    for waiting, (result, problem) in zip(group, outcomes, strict=True):
        if problem is not None:
            waiting.future.set_exception(problem)
        else:
            waiting.future.set_result(result)


class Writer:
    def __init__(
        self,
        engine: Engine,
        compiler: Compiler,
        check_present: Callable[[], None],
        ballast: Ballast | None,
    ) -> None:
        """`check_present` raises `StorageFailed` while the database's files are not in place.

        Without `ballast`, changes that free space get no help on a full disk.
        """
        self._engine = engine
        self._compiler = compiler
        self._ballast = ballast
        self._is_full = False  # only changes that free space are recorded
        self._check_room_at = 0.0  # by the monotonic clock
        self._check_present = check_present
        self._session: Session | None = None
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._lock = Lock()
        self._closed = False
        self._known = Known()
        self._rows = 0  # written since the last checkpoint
        self._thread = Thread(target=self._run, name="wherry-catalog-writer", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation[T]) -> Future[T]:
        """Queue `operation`; callable from any thread.

        The future raises what the operation raises, `DiskFull` or `StorageFailed`. Raises
        `RuntimeError` after `close`.
        """
        waiting = _Waiting(operation)
        with self._lock:
            if self._closed:
                raise RuntimeError("the catalog is closed")
            self._queue.put(waiting)
        return waiting.future

    def close(self) -> None:
        """Carry out the operations that wait, then end the thread."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            group, is_last = self._take()
            self._check_room()
            _resolve(group, self._carry_out(group))
            del group
            if self._rows >= CHECKPOINT_AFTER:
                self._checkpoint()
        self._disconnect()

    def _take(self) -> tuple[list[_Waiting], bool]:
        """The operations that wait, up to `GROUP`; and whether they are the last ones.

        Blocks until there is one. On a full disk, it returns after `POLL_INTERVAL` without.
        """
        group: list[_Waiting] = []
        try:
            waiting = self._queue.get(timeout=POLL_INTERVAL if self._is_full else None)
        except Empty:
            return group, False
        while waiting is not None:
            if waiting.future.set_running_or_notify_cancel():
                group.append(waiting)
            if len(group) == GROUP:
                return group, False
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _carry_out(self, group: Sequence[_Waiting]) -> Sequence[_Outcome]:
        """What has come of each of them.

        If that took the ballast, it is filled again by then: a caller that has its answer may
        take the space that it has freed.
        """
        if not group:
            return ()
        try:
            return self._transact([waiting.operation for waiting in group])
        except BaseException as error:
            self._disconnect()
            if not self._make_room(error):
                return self._failed(group, error)
            outcomes = self._one_by_one(group)
            if self._ballast is not None:
                self._checkpoint()  # after that, the next changes need no new room in the log
                self._ballast.fill()
            return outcomes

    def _one_by_one(self, group: Sequence[_Waiting]) -> Sequence[_Outcome]:
        return [outcome for waiting in group for outcome in self._carry_out([waiting])]

    def _transact(self, operations: Sequence[Operation[Any]]) -> Sequence[_Outcome]:
        """Commit them in one transaction."""
        self._check_present()
        if self._session is None:
            self._session = Session(self._engine.raw_connection(), self._compiler)
        session = self._session
        connections.begin_writing(session)
        version = connections.data_version(session)
        known = self._known
        known.keep_if(version)
        work = UnitOfWork(session, known.uploads, known.earlier, known.occupancy, self._is_full)
        work.fetch([id_ for operation in operations for id_ in operation.concerns])
        outcomes = apply_all(work, operations)
        # A crash here leaves nothing of the group; no caller has had an answer.
        session.run("COMMIT")
        # A crash here leaves all of the group; callers without an answer will ask again.
        self._check_present()  # otherwise it was committed to a file that is lost
        known.learn(work, version)
        self._rows += work.rows_written
        return outcomes

    def _make_room(self, error: BaseException) -> bool:
        """Whether to try the group again.

        The first time, only its changes that free space are tried; the second time, in the
        space of the ballast.
        """
        if self._ballast is None or not isinstance(connections.failure(error), DiskFull):
            return False
        if self._is_full:
            return self._ballast.give_up()
        log.error("the disk is full: only changes that free space are recorded until there is room")
        self._is_full, self._check_room_at = True, 0.0
        return True

    def _check_room(self) -> None:
        if self._ballast is None or not self._is_full or time.monotonic() < self._check_room_at:
            return
        self._check_room_at = time.monotonic() + POLL_INTERVAL
        self._ballast.fill()
        if self._ballast.has_room():
            self._is_full = False
            log.warning("the disk has room again: all changes are recorded")

    def _failed(self, group: Sequence[_Waiting], error: BaseException) -> Sequence[_Outcome]:
        """What comes of those whose transaction has failed."""
        if connections.failure(error) is not None:
            log.error("the catalog could not record %d changes: %s", len(group), error)
        elif len(group) > 1:
            # One of them holds a value that the database refuses. Try each by itself.
            return self._one_by_one(group)
        outcomes: list[_Outcome] = []
        for _ in group:
            problem = connections.failure(error) or error
            problem.__cause__ = None if problem is error else error
            outcomes.append((None, problem))
        return outcomes

    def _checkpoint(self) -> None:
        self._rows = 0
        if self._session is None:
            return
        try:
            self._check_present()
            connections.checkpoint(self._engine, self._session)
        except Exception as error:
            # What is committed is safe in the log, which grows until a checkpoint succeeds.
            log.warning("the catalog's log could not be written back: %s", error)
            self._disconnect()

    def _disconnect(self) -> None:
        """Drop the connection and what is remembered; the next group opens another."""
        session, self._session, self._known = self._session, None, Known()
        if session is not None:
            session.drop()
