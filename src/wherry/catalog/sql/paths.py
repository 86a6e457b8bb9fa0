"""Queries for paths, and the statements that change them.

Rule 1: there are few of them, so all are read at once.
"""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert as upsert  # SQLite has the same statement

from wherry.catalog.sql.rows import path_of
from wherry.catalog.sql.session import Session
from wherry.catalog.sql.tables import paths
from wherry.catalog.sql.unreadable import read_apart
from wherry.core.paths import Paths

_ALL = select(paths).order_by(paths.c.host)
_PUT = upsert(paths)
PUT = _PUT.on_conflict_do_update(
    index_elements=[paths.c.host],
    set_={column.name: _PUT.excluded[column.name] for column in paths.c if column.name != "host"},
)
DELETE = delete(paths).where(paths.c.host == bindparam("this"))


def all_paths(session: Session) -> Paths:
    """Those that can be read, by their hosts."""
    rows = {row[0]: row for row in session.rows(_ALL)}
    found, _ = read_apart(rows, lambda hosts: {host: path_of(rows[host]) for host in hosts})
    return found
