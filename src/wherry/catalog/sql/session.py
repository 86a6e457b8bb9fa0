"""Statements on a connection of the driver. SQLAlchemy compiles each of them once.

SQLAlchemy's own `Connection` works several times as long on a small statement as SQLite does. Here
it writes the SQL and names the types, at the first use; after that, only values pass.

Rule 1: a statement is a constant of its module, or it comes from a small cache: what is compiled
is kept. A condition on one of many values has a parameter for each (`one_of`).

Rule 2: values are converted as the types of the tables say.

Rule 3: an error of the driver is raised as SQLAlchemy's error of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from operator import itemgetter
from typing import Any

from sqlalchemy import Select, literal
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.sql import ColumnElement, Executable
from sqlalchemy.sql.compiler import SQLCompiler

Row = tuple[Any, ...]
#: How PostgreSQL numbers the type of a `Double`. Only its processors of numbers want to know.
FLOAT = 701
Given = Mapping[str, Any]
_Convert = Callable[[Any], Any]


def one_of(column: ColumnElement[Any], values: Iterable[object]) -> ColumnElement[bool]:
    """Whether the column has one of these values."""
    return column.in_([literal(value) for value in values])


class Compiler:
    """What is compiled for one kind of database; its sessions share it."""

    def __init__(self, dialect: Dialect) -> None:
        """`dialect` has parameters by position, as `qmark` and `format` are."""
        if not dialect.positional:
            raise ValueError(f"parameters by {dialect.paramstyle} are not by position")
        self.dialect = dialect
        self._known: dict[Executable, _Compiled] = {}

    def compiled(self, statement: Executable) -> _Compiled:
        found = self._known.get(statement)
        if found is None:
            found = self._known[statement] = _Compiled(statement, self.dialect)
        return found


class _Compiled:
    """The SQL of a statement, and how values get into it and out of it."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)  # noqa: S101
        self.text = compiled.string
        names = compiled.positiontup or []
        binds = [compiled.binds[name] for name in names]
        self._constants = {
            name: bind.effective_value
            for name, bind in zip(names, binds, strict=True)
            if not bind.required
        }
        self._pick = itemgetter(*names) if len(names) > 1 else None
        self._only = names[0] if len(names) == 1 else None
        self._into = _converters(
            [bind.type.dialect_impl(dialect).bind_processor(dialect) for bind in binds]
        )
        columns = statement.selected_columns if isinstance(statement, Select) else ()
        self._out_of = _converters(
            [
                column.type.dialect_impl(dialect).result_processor(dialect, FLOAT)
                for column in columns
            ]
        )

    def values(self, given: Given) -> Sequence[Any]:
        """The parameters, in their order."""
        if self._constants:
            given = {**self._constants, **given}
        if self._pick is None:
            values = [] if self._only is None else [given[self._only]]
        elif not self._into:
            picked: Row = self._pick(given)
            return picked
        else:
            values = list(self._pick(given))
        for place, convert in self._into:
            values[place] = convert(values[place])
        return values

    def rows(self, found: list[Row]) -> list[Row]:
        if not self._out_of:
            return found
        return [self._row(row) for row in found]

    def _row(self, row: Row) -> Row:
        values = list(row)
        for place, convert in self._out_of:
            values[place] = convert(values[place])
        return tuple(values)


def _converters(found: Iterable[_Convert | None]) -> list[tuple[int, _Convert]]:
    return [(place, convert) for place, convert in enumerate(found) if convert is not None]


class Session:
    """A connection of the driver, in use by one thread at a time. It begins no transaction."""

    def __init__(self, connection: PoolProxiedConnection, compiler: Compiler) -> None:
        self._connection = connection
        self._compiler = compiler
        self._errors: tuple[type[Exception], ...] = (compiler.dialect.loaded_dbapi.Error,)
        self._cursor = connection.cursor()

    def rows(self, statement: Executable, given: Given | None = None) -> list[Row]:
        """All rows that the statement finds."""
        compiled = self._compiler.compiled(statement)
        self._send(compiled.text, compiled.values(given or {}))
        return compiled.rows(self._fetch())

    def answers(self, *asked: tuple[Executable, Given]) -> Iterator[list[Row]]:
        """The rows of several statements, none of which depends on another.

        A database that is far away is asked all of them at once.
        """
        return (self.rows(statement, given) for statement, given in asked)

    def at_once(self) -> AbstractContextManager[object]:
        """What is run in this context may be sent together; at its end, all of it was run.

        So a statement without rows may raise its error only there.
        """
        return nullcontext()

    def column(self, statement: Executable, given: Given | None = None) -> list[Any]:
        """The first value of each row."""
        return [row[0] for row in self.rows(statement, given)]

    def write(self, statement: Executable, rows: Sequence[Given]) -> None:
        """Run the statement once for each of these parameters."""
        compiled = self._compiler.compiled(statement)
        if len(rows) == 1:
            self._send(compiled.text, compiled.values(rows[0]))
        else:
            self._send_many(compiled.text, [compiled.values(row) for row in rows])

    def run(self, text: str) -> list[Row]:
        """Run SQL of the backend's own, such as the begin of a transaction."""
        self._send(text, ())
        return [] if self._cursor.description is None else self._fetch()

    def drop(self) -> None:
        """Close the connection; what is not committed is rolled back."""
        # SQLite keeps the connection's locks until its last statement is closed.
        with suppress(*self._errors):
            self._cursor.close()
        self._connection.invalidate()
        self._connection.close()

    def _send(self, text: str, values: Sequence[Any]) -> None:
        try:
            self._cursor.execute(text, values)
        except self._errors as error:
            raise self._as_error(text, error) from error

    def _send_many(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        try:
            self._cursor.executemany(text, rows)
        except self._errors as error:
            raise self._as_error(text, error) from error

    def _fetch(self) -> list[Row]:
        try:
            return list(self._cursor.fetchall())
        except self._errors as error:
            raise self._as_error("", error) from error

    def _as_error(self, text: str, error: Exception) -> BaseException:
        dialect = self._compiler.dialect
        return DBAPIError.instance(text, None, error, self._errors[0], True, dialect=dialect)
