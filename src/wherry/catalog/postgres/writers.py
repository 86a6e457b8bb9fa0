"""The threads that write. Each takes the operations that wait for it and commits them in groups.

PostgreSQL makes commits of several connections durable with one sync, so several threads write. An
operation costs a handful of questions to the server, which a group asks once, so each thread
groups what waits for it.

Rule 1: the changes of one upload go to one thread, in the order of their calls. On other machines,
other threads change the same upload: the lock of its row keeps them apart.

Rule 2: two transactions never wait for each other. One that admits uploads takes the lock of all
admissions first; then each locks the rows of its uploads, in the order of their identifiers; and
an operation that finds its uploads only when it is applied has a transaction of its own.

Rule 3: a transaction that failed before its commit is tried again, where its connection had broken
earlier, or where the server has rolled it back in favour of another one. A commit without
an answer is not: it may have been carried out. Its callers get `StorageFailed`, and their clients
ask again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import groupby
from typing import Any, TypeVar
from zlib import crc32

from wherry.catalog.postgres import connections
from wherry.catalog.postgres.known import KnownVersions
from wherry.catalog.sql import queries
from wherry.catalog.sql.grouping import Grouping, Outcome, Waiting, failed
from wherry.catalog.sql.operations import Operation, apply_all
from wherry.catalog.sql.session import Session
from wherry.catalog.sql.unit_of_work import UnitOfWork
from wherry.core.webhooks import Outbox

log = logging.getLogger("wherry.catalog")

T = TypeVar("T")

#: How many threads change uploads; one more admits them. While one waits for its commit, the other
#: computes. With more, each group is smaller, and a transaction costs several times an operation.
THREADS = 2
#: How often a transaction that was rolled back in favour of another is tried again.
RETRIES = 5


class Writers:
    """`connect` opens a connection. Blocks while it does."""

    def __init__(self, connect: Callable[[], Session]) -> None:
        known = KnownVersions()
        self._admitting = _Writer("wherry-catalog-admitting", connect, known)
        self._changing = [
            _Writer(f"wherry-catalog-writer-{n}", connect, known) for n in range(THREADS)
        ]

    def announce_to(self, outbox: Outbox) -> None:
        """As `Catalog.announce_to`."""
        for writer in (self._admitting, *self._changing):
            writer.outbox = outbox

    def submit(self, operation: Operation[T]) -> Future[T]:
        """As `Grouping.submit`."""
        concerned = operation.concerns
        if operation.admits or not concerned:
            return self._admitting.submit(operation)
        return self._changing[crc32(concerned[0].encode()) % THREADS].submit(operation)

    def close(self) -> None:
        for writer in (self._admitting, *self._changing):
            writer.close()


class _Writer(Grouping):
    def __init__(self, name: str, connect: Callable[[], Session], known: KnownVersions) -> None:
        super().__init__(name)
        self._connect = connect
        self._session: Session | None = None
        self._known = known
        self._is_committing = False
        self.start()

    def _carry_out(self, group: Sequence[Waiting]) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        for may_share, some in groupby(group, lambda waiting: bool(waiting.operation.concerns)):
            if may_share:
                outcomes += self._together(list(some))
            else:
                for waiting in some:
                    outcomes += self._together([waiting])
        return outcomes

    def _together(self, group: Sequence[Waiting]) -> Sequence[Outcome]:
        for _ in range(RETRIES):
            is_new = self._session is None
            try:
                return self._transact([waiting.operation for waiting in group])
            except BaseException as error:
                self._disconnect()
                last = error
                if connections.is_broken(error):
                    may_repeat = not is_new and not self._is_committing
                else:  # the server has answered: it has rolled back
                    may_repeat = connections.is_undecided(error)
                if not may_repeat:
                    break
        return self._failed(group, last)

    def _transact(self, operations: Sequence[Operation[Any]]) -> Sequence[Outcome]:
        """Commit them in one transaction."""
        self._is_committing = False
        if self._session is None:
            self._session = self._connect()
        session = self._session
        ids = [id_ for operation in operations for id_ in operation.concerns]
        with session.at_once():
            session.run("BEGIN")
            if any(operation.admits for operation in operations):
                session.run(f"SELECT pg_advisory_xact_lock({connections.ADMITTING})")
            versions = queries.change_versions(session, ids)
            known, earlier = self._known.at(ids, versions), self._known.earlier(ids)
            work = UnitOfWork(session, known, earlier, versioned=versions, outbox=self.outbox)
            work.fetch(ids)
            outcomes = apply_all(work, operations)
            # A crash here leaves nothing of the group; no caller has had an answer.
            self._is_committing = True
            session.run("COMMIT")
        # A crash here leaves all of the group; callers without an answer will ask again.
        self._known.learn(work, versions)
        return outcomes

    def _failed(self, group: Sequence[Waiting], error: BaseException) -> Sequence[Outcome]:
        """What comes of those whose transaction has failed."""
        if connections.failure(error) is not None:
            log.error("the catalog could not record %d changes: %s", len(group), error)
        elif len(group) > 1:
            # One of them holds a value that the database refuses. Try each by itself.
            return [outcome for waiting in group for outcome in self._together([waiting])]
        return failed(group, error, connections.failure)

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.drop()
