"""Statements that are sent together, so that a transaction waits for the server only twice.

A question to the server takes longer than PostgreSQL needs to answer it. A transaction that asked
one after the other would wait about ten times: before it knows what it changes, and for each kind
of row that it writes.

Rule 1: before this process computes anything, the server has been told that it has to wait (sync).
In a pipeline without a sync, it would not count as idle, and never end the transaction of a process
that hangs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from typing import Any

import psycopg
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.sql import Delete, Executable, Insert

from wherry.catalog.sql.session import Compiler, Given, Row, Session

#: How many rows one statement adds or deletes at most.
MANY = 64
_PARAMETER = re.compile(r"\$(\d+)")


def compiler() -> Compiler:
    """The one that all sessions of a catalog share."""
    dialect = PGDialect_psycopg(dbapi=psycopg, paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
    return Compiler(dialect)


class PostgresSession(Session):
    def __init__(self, connection: PoolProxiedConnection, compiler: Compiler) -> None:
        super().__init__(connection, compiler)
        driver = connection.driver_connection
        assert isinstance(driver, psycopg.Connection)  # noqa: S101
        self._driver = driver
        self._cursor: Any = psycopg.RawCursor(driver)
        self._pipeline: psycopg.Pipeline | None = None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        try:
            with self._driver.pipeline() as self._pipeline:
                yield
        except self._errors as error:  # of a statement whose answer came only now
            raise self._as_error("", error) from error
        finally:
            self._pipeline = None

    def answers(self, *asked: tuple[Executable, Given]) -> Iterator[list[Row]]:
        compiled = [(self._compiler.compiled(statement), given) for statement, given in asked]
        try:
            cursors = [self._execute(c.text, c.values(g)) for c, g in compiled]
            self._sync()
            found = [cursor.fetchall() for cursor in cursors]
        except self._errors as error:
            raise self._as_error(compiled[0][0].text, error) from error
        return (c.rows(list(rows)) for (c, _), rows in zip(compiled, found, strict=True))

    def _execute(self, text: str, values: Sequence[Any]) -> psycopg.RawCursor[Row]:
        return psycopg.RawCursor(self._driver).execute(text.encode(), values)

    def _fetch(self) -> list[Row]:
        try:
            self._sync()
        except self._errors as error:
            raise self._as_error("", error) from error
        return super()._fetch()

    def _sync(self) -> None:
        if self._pipeline is not None:
            self._pipeline.sync()

    def write(self, statement: Executable, rows: Sequence[Given]) -> None:
        """As `Session.write`; many rows are added or deleted by few statements."""
        if len(rows) == 1 or not isinstance(statement, (Insert, Delete)):
            super().write(statement, rows)
            return
        compiled, done = self._compiler.compiled(statement), 0
        if isinstance(statement, Delete):  # deleting the last row again has no effect
            rows = [*rows, *[rows[-1]] * ((1 << (len(rows) - 1).bit_length()) - len(rows))]
        while done < len(rows):
            # Powers of two, so that there are few statements, and the server prepares them.
            size = min(MANY, 1 << (len(rows) - done).bit_length() - 1)
            values = chain.from_iterable(compiled.values(row) for row in rows[done : done + size])
            self._send(_of_many(compiled.text, size), tuple(values))
            done += size

    def run(self, text: str) -> list[Row]:
        """Run SQL of the backend's own. In `at_once`, it has no rows."""
        self._send(text, ())
        return []


@lru_cache
def _of_many(text: str, rows: int) -> str:
    """The statement that does for so many rows what `text`, an INSERT or a DELETE, does for one."""
    if text.startswith("INSERT"):
        head, values, rest = text.partition(" VALUES ")
        each, conflict, action = rest.partition(" ON CONFLICT ")
        return f"{head}{values}{', '.join(_numbered_on(each, rows))}{conflict}{action}"
    head, where, each = text.partition(" WHERE ")
    return f"{head}{where}{' OR '.join(_numbered_on(f'({each})', rows))}"


def _numbered_on(each: str, rows: int) -> Iterator[str]:
    """The same text for each row, with parameters of its own."""
    pieces = _PARAMETER.split(each)  # every second one is a number
    numbers = [int(number) for number in pieces[1::2]]
    for row in range(rows):
        pieces[1::2] = [f"${number + row * max(numbers)}" for number in numbers]
        yield "".join(pieces)
