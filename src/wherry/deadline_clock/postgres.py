"""The beats of all machines, in a PostgreSQL database.

Rule 1: the database counts the time between two beats, by its own clock. So it does not matter that
the steady clocks of two machines have nothing in common.

Rule 2: a beat is not worth a sync.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import psycopg

from wherry.catalog.postgres.connections import SCHEMA, connect_arguments, libpq_url, parse_url
from wherry.deadline_clock import LONGEST_PAUSE, Beat

_PASSED = (
    "least(greatest(extract(epoch FROM clock_timestamp() - beats.at), 0), "
    f"{LONGEST_PAUSE})::double precision"
)
_READ = f"SELECT shown + {_PASSED} FROM {SCHEMA}.beats"  # noqa: S608 - all of it is ours
_WRITE = f"""
    INSERT INTO {SCHEMA}.beats (name, shown, at) VALUES ('served', %s, clock_timestamp())
    ON CONFLICT (name) DO UPDATE
    SET shown = greatest(excluded.shown, beats.shown + {_PASSED}), at = clock_timestamp()
    RETURNING shown
"""  # noqa: S608


class PostgresBeats:
    """The beats in the database at this URL, whose tables are up to date."""

    def __init__(self, url: str, steady: Callable[[], float] = time.monotonic) -> None:
        """Read the newest one. Blocks. Raises `OSError`, `ValueError`."""
        self._url = libpq_url(parse_url(url))
        self._steady = steady
        self._session: psycopg.Connection | None = None
        self._newest = self._ask(_READ)

    def read(self) -> Beat | None:
        """The newest beat when this process last asked: at its own last beat."""
        return self._newest

    def write(self, beat: Beat) -> None:
        """Beat, and learn what others have beaten. Raises `OSError`."""
        self._newest = self._ask(_WRITE, beat.shown)

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(psycopg.Error):
                session.close()

    def _ask(self, statement: str, *values: float) -> Beat | None:
        try:
            if self._session is None:
                self._session = psycopg.connect(self._url, **connect_arguments())
                self._session.execute("SET synchronous_commit = off")
            # Before the question: a clock that is late is in favour of clients.
            steady = self._steady()
            found = self._session.execute(statement.encode(), values).fetchone()
        except psycopg.Error as error:
            self.close()
            raise OSError(f"the database cannot be used: {error}") from error
        return None if found is None else Beat(float(found[0]), steady)
