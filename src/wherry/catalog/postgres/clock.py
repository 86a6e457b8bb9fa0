"""The clock of the database, which all machines share.

Rule 1: it is read from the database every `ASK_EVERY` seconds, and counted on in between by a clock
of this machine that also runs while the machine is suspended.
"""

from __future__ import annotations

import time
from contextlib import suppress

import psycopg

from wherry.catalog.postgres.connections import connect_arguments, libpq_url, parse_url
from wherry.core.errors import StorageFailed

#: In seconds.
ASK_EVERY = 10.0
_ASK = "SELECT extract(epoch FROM clock_timestamp())::double precision"


def elapsed() -> float:
    """Seconds since some moment, also those in which this machine was suspended."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class DatabaseClock:
    """Unix seconds, as the database at this URL has them. Blocks now and then."""

    def __init__(self, url: str) -> None:
        """Raises `StorageFailed`, and `ValueError` for an unknown kind of database."""
        self._url = libpq_url(parse_url(url))
        self._asked_at, self._ahead = self._ask()

    def __call__(self) -> float:
        if elapsed() - self._asked_at > ASK_EVERY:
            with suppress(StorageFailed):  # whoever needs the time needs the catalog, which says so
                self._asked_at, self._ahead = self._ask()
        return elapsed() + self._ahead

    def _ask(self) -> tuple[float, float]:
        """When it was asked, and how far its time is ahead of that."""
        try:
            with psycopg.connect(self._url, **connect_arguments()) as session:
                asked_at = elapsed()
                found = session.execute(_ASK.encode()).fetchone()
        except psycopg.Error as error:
            raise StorageFailed(f"the database cannot be used: {error}") from error
        assert found is not None  # noqa: S101
        return asked_at, float(found[0]) - asked_at
