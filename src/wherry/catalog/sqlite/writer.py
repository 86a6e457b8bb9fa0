"""The one thread that writes: it takes the operations that wait and commits them in groups.

SQLite has one writer at a time, and a commit costs one fsync. Operations that arrive during
a commit share the next one.

Rule 1: nothing is acknowledged that was committed to a file that is no longer in its place.

Rule 2: what a transaction has read is remembered for the next one (`known`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Engine

from wherry.catalog.sql.grouping import Grouping, Outcome, Waiting, failed
from wherry.catalog.sql.known import Known
from wherry.catalog.sql.operations import Operation, apply_all
from wherry.catalog.sql.session import Compiler, Session
from wherry.catalog.sql.unit_of_work import UnitOfWork
from wherry.catalog.sqlite import connections
from wherry.catalog.sqlite.ballast import Ballast
from wherry.core.errors import DiskFull

log = logging.getLogger("wherry.catalog")

#: The log is written back after this many rows; they are about as many pages.
CHECKPOINT_AFTER = 1000
#: How often a full disk is checked for room, in seconds.
POLL_INTERVAL = 1.0


class Writer(Grouping):
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
        super().__init__("wherry-catalog-writer")
        self._engine = engine
        self._compiler = compiler
        self._ballast = ballast
        self._is_full = False  # only changes that free space are recorded
        self._check_room_at = 0.0  # by the monotonic clock
        self._check_present = check_present
        self._session: Session | None = None
        self._known = Known()
        self._rows = 0  # written since the last checkpoint
        self.start()

    def _patience(self) -> float | None:
        return POLL_INTERVAL if self._is_full else None

    def _after(self) -> None:
        if self._rows >= CHECKPOINT_AFTER:
            self._checkpoint()

    def _carry_out(self, group: Sequence[Waiting]) -> Sequence[Outcome]:
        """What has come of each of them.

        If that took the ballast, it is filled again by then: a caller that has its answer may
        take the space that it has freed.
        """
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

    def _transact(self, operations: Sequence[Operation[Any]]) -> Sequence[Outcome]:
        """Commit them in one transaction."""
        self._check_present()
        if self._session is None:
            self._session = connections.open_writing(self._engine, self._compiler)
        session = self._session
        connections.begin_writing(session)
        version = connections.data_version(session)
        known = self._known
        known.keep_if(version)
        work = UnitOfWork(
            session,
            known.uploads,
            known.earlier,
            known.occupancy,
            is_full=self._is_full,
            outbox=self.outbox,
        )
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

    def _between(self) -> None:
        if self._ballast is None or not self._is_full or time.monotonic() < self._check_room_at:
            return
        self._check_room_at = time.monotonic() + POLL_INTERVAL
        self._ballast.fill()
        if self._ballast.has_room():
            self._is_full = False
            log.warning("the disk has room again: all changes are recorded")

    def _failed(self, group: Sequence[Waiting], error: BaseException) -> Sequence[Outcome]:
        """What comes of those whose transaction has failed."""
        if connections.failure(error) is not None:
            log.error("the catalog could not record %d changes: %s", len(group), error)
        elif len(group) > 1:
            # One of them holds a value that the database refuses. Try each by itself.
            return self._one_by_one(group)
        return failed(group, error, connections.failure)

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
