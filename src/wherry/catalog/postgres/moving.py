"""Moves the records of an SQLite catalog into PostgreSQL.

Rule 1: all records come over in one transaction, or none.

Rule 2: no record is added to others: the database has none before.

Rule 3: the SQLite file is put away before its write lock ends. So a process that opens the file
meanwhile can acknowledge nothing that does not come over: its commit fails, or finds the file away
(`sqlite.anchor`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Table, delete, func, insert, select

from wherry.catalog.postgres import connections
from wherry.catalog.sql.tables import installation, leases, metadata, totals, uploads
from wherry.catalog.sqlite import connections as sqlite

#: How many rows are in memory at once.
BATCH = 1000


def move_records(path: Path, url: str, put_away: Callable[[], None]) -> dict[str, int]:
    """Copy every record of the SQLite file at `path`. Blocks. How many rows each table has.

    `put_away` gives the file another name. Raises `RuntimeError` while another process has the file
    open, `ValueError` if the database has records already, and what `PostgresCatalog` raises.
    """
    source = sqlite.open_engine(sqlite.parse_url(path), 1, may_create=lambda: False)
    target = connections.open_engine(connections.parse_url(url), 1)
    try:
        if not sqlite.close_log(source):
            raise RuntimeError(
                f"a server is running on {path.parent}, or a worker or another command has the "
                "catalog open; stop all of them first. Nothing was changed"
            )
        sqlite.migrate(source)
        connections.prepare_database(target)
        with sqlite.writing(source) as old, target.connect() as new, old.begin():
            with new.begin():
                copied = _copy_all(old, new)
            # A crash here: all records are in both. A server with the new settings does not start
            # before the old catalog is put away.
            put_away()
    except BaseException as error:
        raise connections.failure(error) or sqlite.failure(error) or error from error
    finally:
        source.dispose()
        target.dispose()
    return copied


def _copy_all(old: Connection, new: Connection) -> dict[str, int]:
    if new.scalar(select(func.count()).select_from(uploads)):
        raise ValueError(
            "the database has records already; give an empty one. If an earlier move was "
            "interrupted after it had moved all records, and no server has run on the old catalog "
            "since, rename that to catalog.sqlite-moved instead"
        )
    copied = {
        table.name: _copy(table, old, new)
        for table in metadata.sorted_tables
        # Requests have ended with their server, and triggers keep the totals.
        if table not in (leases, totals, installation)
    }
    if old.scalar(select(installation.c.storage)) is not None:
        # The files in the object store stay where they are, and belong to the database.
        new.execute(delete(installation))
        _copy(installation, old, new)
    return copied


def _copy(table: Table, old: Connection, new: Connection) -> int:
    found, copied = old.execution_options(yield_per=BATCH).execute(select(table)), 0
    for rows in found.mappings().partitions():
        new.execute(insert(table), [dict(row) for row in rows])
        copied += len(rows)
    return copied
