"""The one thread that writes: operations wait in a line and are committed in groups.

Rule 1: an operation's future is resolved after the commit that holds it, never
before. A crash at any line leaves a group recorded whole or not at all.

Rule 2: an operation that raises fails alone. A transaction that fails takes
its whole group with it, and the writer goes on with the next.

Rule 3: nothing is acknowledged that went into a file which is not in its place any more.

Rule 4: whoever stops waiting changes nothing for the others: an operation that
is cancelled before its turn is left out, later it is carried out.
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

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from wherry.catalog import sqlite
from wherry.catalog.ballast import Ballast
from wherry.catalog.draft import Draft
from wherry.catalog.operations import Operation
from wherry.core.errors import DiskFull
from wherry.core.upload import Upload

log = logging.getLogger("wherry.catalog")

T = TypeVar("T")

#: How many operations one transaction carries out at most.
GROUP = 128
#: After how many rows written the log is written back; about as many pages.
CHECKPOINT_AFTER = 1000
#: How often is looked whether a full disk has room again, in seconds.
LOOK_EVERY = 1.0
#: How many uploads, and parts of them, are remembered from one group to the next.
KNOWN_UPLOADS, KNOWN_PARTS = 256, 50_000


@dataclass(eq=False, slots=True)
class _Waiting:
    operation: Operation[Any]
    future: Future[Any] = field(default_factory=Future)


class Writer:
    def __init__(
        self, engine: Engine, check_present: Callable[[], None], ballast: Ballast | None
    ) -> None:
        """`check_present` raises `StorageFailed` while the database's files are not in place."""
        self._engine = engine
        self._ballast = ballast
        self._is_full = False  # only what frees space is recorded
        self._look_after = 0.0  # for room, by the monotonic clock
        self._check_present = check_present
        self._connection: Connection | None = None
        self._line: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._lock = Lock()
        self._closed = False
        self._known: dict[str, Upload] = {}
        self._known_at = -1  # the data version at which `_known` was true
        self._rows = 0  # written since the last checkpoint
        self._thread = Thread(target=self._run, name="wherry-catalog-writer", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation[T]) -> Future[T]:
        """From any thread. The future raises what the operation raises, `DiskFull`,
        or `StorageFailed`. Raises `RuntimeError` once the writer is closed.
        """
        waiting = _Waiting(operation)
        with self._lock:
            if self._closed:
                raise RuntimeError("the catalog is closed")
            self._line.put(waiting)
        return waiting.future

    def close(self) -> None:
        """Carry out what waits, then end the thread."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._line.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            group, is_last = self._take()
            self._look_for_room()
            self._carry_out(group)
            del group
            if self._rows >= CHECKPOINT_AFTER:
                self._checkpoint()
        self._let_go()

    def _take(self) -> tuple[list[_Waiting], bool]:
        """All that wait, at least one while nothing else is due; whether nothing comes after."""
        group: list[_Waiting] = []
        try:
            waiting = self._line.get(timeout=LOOK_EVERY if self._is_full else None)
        except Empty:
            return group, False
        while waiting is not None:
            if waiting.future.set_running_or_notify_cancel():
                group.append(waiting)
            if len(group) == GROUP:
                return group, False
            try:
                waiting = self._line.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _carry_out(self, group: Sequence[_Waiting]) -> None:
        if not group:
            return
        try:
            outcomes = self._transact([waiting.operation for waiting in group])
        except BaseException as error:
            self._let_go()
            if not self._make_room(error):
                self._fail(group, error)
                return
            for waiting in group:
                self._carry_out([waiting])
            if self._ballast is not None:
                self._checkpoint()  # then the next changes need no new room in the log
                self._ballast.fill()
            return
        for waiting, (result, problem) in zip(group, outcomes, strict=True):
            if problem is not None:
                waiting.future.set_exception(problem)
            else:
                waiting.future.set_result(result)

    def _transact(
        self, operations: Sequence[Operation[Any]]
    ) -> list[tuple[Any, BaseException | None]]:
        """What each came to: its result or its exception."""
        outcomes: list[tuple[Any, BaseException | None]] = []
        self._check_present()
        if self._connection is None:
            self._connection = sqlite.writing(self._engine)
        with self._connection.begin():
            version = sqlite.data_version(self._connection)
            known = self._known if version == self._known_at else {}
            draft = Draft(self._connection, known, self._is_full)
            draft.fetch(id_ for operation in operations for id_ in operation.concerns)
            for operation in operations:
                try:
                    outcomes.append((operation.apply(draft), None))
                except SQLAlchemyError:
                    # SQLite may have rolled back already; nothing more may be written.
                    raise
                except Exception as problem:
                    outcomes.append((None, problem))
            draft.flush()
            # A crash here leaves nothing of the group; nobody was told of it.
        # A crash here leaves all of it; whoever was not told will ask again.
        self._check_present()  # else it was committed to a file that nobody will find
        self._remember(draft, version)
        return outcomes

    def _remember(self, draft: Draft, version: int) -> None:
        known = draft.recorded()
        parts = sum(len(upload.received.parts) for upload in known.values())
        while len(known) > KNOWN_UPLOADS or parts > KNOWN_PARTS:
            parts -= len(known.pop(next(iter(known))).received.parts)
        self._known, self._known_at = known, version
        self._rows += draft.rows_written

    def _make_room(self, error: BaseException) -> bool:
        """Whether to try again: with what frees space alone, and then in the ballast's place."""
        if self._ballast is None or not isinstance(sqlite.failure(error), DiskFull):
            return False
        if self._is_full:
            return self._ballast.give_up()
        log.error("the disk is full: only what frees space is recorded until there is room")
        self._is_full, self._look_after = True, 0.0
        return True

    def _look_for_room(self) -> None:
        if self._ballast is None or not self._is_full or time.monotonic() < self._look_after:
            return
        self._look_after = time.monotonic() + LOOK_EVERY
        self._ballast.fill()
        if self._ballast.has_room():
            self._is_full = False
            log.warning("the disk has room again: all is recorded")

    def _fail(self, group: Sequence[_Waiting], error: BaseException) -> None:
        if sqlite.failure(error) is not None:
            log.error("the catalog could not record %d changes: %s", len(group), error)
        elif len(group) > 1:
            # One of them brought what the database cannot hold: each by itself, then.
            for waiting in group:
                self._carry_out([waiting])
            return
        for waiting in group:
            problem = sqlite.failure(error) or error
            problem.__cause__ = None if problem is error else error
            waiting.future.set_exception(problem)

    def _checkpoint(self) -> None:
        self._rows = 0
        if self._connection is None:
            return
        try:
            self._check_present()
            sqlite.checkpoint(self._engine, self._connection)
        except Exception as error:
            # What is committed stays safe in the log, which grows until the next one succeeds.
            log.warning("the catalog's log could not be written back: %s", error)
            self._let_go()

    def _let_go(self) -> None:
        """Forget the connection and all that was known by it; the next group opens another."""
        connection, self._connection, self._known = self._connection, None, {}
        self._known_at = -1
        if connection is not None:
            connection.invalidate()
            connection.close()
