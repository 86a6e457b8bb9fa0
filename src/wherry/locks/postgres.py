"""Locks of the processes on any number of machines, by a PostgreSQL database.

Rule 1: a lock is an advisory lock of one session, so it ends with the connection, however its
process ends.

Rule 2: the server ends the session of a process that says nothing for `SILENCE` seconds: one that
is stopped, or cut off from the network. Its locks, unlike those by files, go to others. It knows
that before they can (`holds`), also when it has just woken up.

Rule 3: PostgreSQL lets a session take its own lock again; this process remembers what it holds.
"""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, ExitStack, suppress
from hashlib import sha256
from threading import Condition, Thread

import psycopg

from wherry.catalog.postgres.connections import connect_arguments, libpq_url, parse_url

log = logging.getLogger("wherry")

#: After how many silent seconds the server ends a session.
SILENCE = 5
#: How often this process says something, and how long it waits for the network, in seconds.
HEARTBEAT, NETWORK_TIMEOUT = 1.0, 2
#: After how many seconds without an answer this process counts its locks as lost. That is before
#: others can have them. Earlier would be of no use, and give locks up where a machine is only busy.
LOST_AFTER = SILENCE - 1


class PostgresLocks:
    """The locks of the database at this URL, for all who share it. Connects when one is taken."""

    locks_items = True

    def __init__(self, url: str) -> None:
        """Raises `ValueError` for an unknown kind of database."""
        self._url = libpq_url(parse_url(url))
        # Also guards the connection, which one thread uses at a time.
        self._changed = Condition()
        self._session: psycopg.Connection | None = None
        self._held: dict[int, object] = {}  # a token of its holder for each
        self._heard_at = float("-inf")  # when the last question was sent that was answered
        self._thread: Thread | None = None
        self._is_closed = False

    def take(self, name: str) -> AbstractContextManager[object] | None:
        """The lock `name`; None while another holder has it. Raises `OSError`, `ValueError`."""
        key = _key(name)
        with self._changed:
            if key in self._held:
                return None
            if not self._ask(key):
                return None
            token = self._held[key] = object()
            self._keep_alive()
        stack = ExitStack()
        stack.callback(self._give_back, key, token)
        return stack

    def holds(self, name: str) -> bool:
        """Whether this process still has the lock that it took. Does not block."""
        return _key(name) in self._held and time.monotonic() - self._heard_at < LOST_AFTER

    def close(self) -> None:
        """Give every lock back."""
        with self._changed:
            self._is_closed = True
            self._lose()
            self._changed.notify_all()

    def _ask(self, key: int) -> bool:
        is_new = self._session is None
        try:
            return self._run("SELECT pg_try_advisory_lock(%s)", key)
        except psycopg.Error as error:
            self._lose()
            if is_new:
                raise _refusal(error) from error
        try:  # the connection had broken before, which says nothing about the database
            return self._run("SELECT pg_try_advisory_lock(%s)", key)
        except psycopg.Error as error:
            self._lose()
            raise _refusal(error) from error

    def _run(self, statement: str, *values: object) -> bool:
        sent_at = time.monotonic()
        if self._session is None:
            self._session = self._connect()
        found = self._session.execute(statement.encode(), values).fetchone()
        self._heard_at = sent_at
        return bool(found and found[0])

    def _connect(self) -> psycopg.Connection:
        if self._is_closed:
            raise psycopg.OperationalError("the locks are closed")
        session = psycopg.connect(self._url, **connect_arguments(NETWORK_TIMEOUT))
        session.execute("SELECT set_config('idle_session_timeout', %s, false)", (f"{SILENCE}s",))
        return session

    def _give_back(self, key: int, token: object) -> None:
        with self._changed:
            if self._held.get(key) is not token:
                return  # lost
            del self._held[key]
            try:
                self._run("SELECT pg_advisory_unlock(%s)", key)
            except psycopg.Error:
                self._lose()  # the server gives back all of them

    def _lose(self) -> None:
        """All locks are lost with their session."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(psycopg.Error):
                session.close()
        if self._held:
            self._held.clear()
            log.warning("the locks in the database are lost: its connection has ended")

    def _keep_alive(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._beat, name="wherry-locks", daemon=True)
            self._thread.start()

    def _beat(self) -> None:
        with self._changed:
            while not self._changed.wait_for(lambda: self._is_closed, HEARTBEAT):
                if self._session is None:
                    continue
                try:
                    self._run("SELECT 1")
                except psycopg.Error:
                    self._lose()


def _key(name: str) -> int:
    """The number that stands for a lock. Two names have the same one once in 2^64 pairs."""
    if not name:
        raise ValueError("'' is not the name of a lock")
    return int.from_bytes(sha256(f"wherry/{name}".encode()).digest()[:8], signed=True)


def _refusal(error: psycopg.Error) -> OSError:
    return OSError(f"the database gives no locks: {' '.join(str(error).split())}")
