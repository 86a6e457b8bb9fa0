"""Queries for the tickets of guests, the statements that change them, and how they are used up.

Rule 1: in a transaction, rows of tickets are written last, in the order of their identifiers. They
are the last rows that it locks. So two transactions that change uploads of the same tickets never
wait for each other in a circle.

Rule 2: whoever begins an upload excludes all others that do (`Operation.admits`). So a ticket is
read without its lock, and what is used of it is added: meanwhile, others can only give uses back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, bindparam, case, delete, insert, select, update

from wherry.catalog.sql.queries import MANY, among, is_among
from wherry.catalog.sql.rows import ticket_of
from wherry.catalog.sql.session import Session
from wherry.catalog.sql.tables import tickets
from wherry.catalog.sql.unreadable import read_apart
from wherry.core.errors import StorageFailed, TicketExpired
from wherry.core.tickets import Ticket
from wherry.core.upload import Upload

ADD = insert(tickets)
FORGET = delete(tickets).where(
    tickets.c.id == bindparam("this"), tickets.c.expires_at <= bindparam("before")
)
_USED = tickets.c.used + bindparam("by")
_COUNT = (
    update(tickets)
    .where(tickets.c.id == bindparam("this"))
    .values(used=case((_USED < 0, 0), else_=_USED))
)


class TicketUses:
    """What one transaction uses of tickets, and gives back. `session`: its own."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read: dict[str, Ticket] = {}
        self._by: Counter[str] = Counter()

    def note(self, before: Upload | None, after: Upload) -> None:
        """An upload was one and is another now. Raises as `Ticket.use` does, and notes nothing."""
        used = after.uses_ticket() - (before is not None and before.uses_ticket())
        if used == 0 or after.ticket_id is None:
            return
        if used > 0:
            ticket = self._ticket(after.ticket_id)
            used_now = replace(ticket, used=ticket.used + self._by[ticket.id])
            used_now.use(after.created_at)
        self._by[after.ticket_id] += used

    def _ticket(self, ticket_id: str) -> Ticket:
        if ticket_id not in self._read:
            found = ticket_by_id(self._session, ticket_id)
            if found is None:  # it was forgotten, because it had expired
                raise TicketExpired
            self._read[ticket_id] = found
        return self._read[ticket_id]

    def write(self) -> int:
        """Write what was noted. How many rows that were."""
        rows = [{"this": id_, "by": by} for id_, by in sorted(self._by.items()) if by]
        self._by.clear()
        self._read.clear()
        if rows:
            self._session.write(_COUNT, rows)
        return len(rows)


def ticket_by_id(session: Session, ticket_id: str, locked: bool = False) -> Ticket | None:
    """Raises `StorageFailed` for one that cannot be read.

    `locked`: no other transaction changes it until this one ends.
    """
    found, unreadable = tickets_by_id(session, [ticket_id], locked)
    for failure in unreadable.values():
        raise failure
    return found.get(ticket_id)


def tickets_by_id(
    session: Session, ids: Sequence[str], locked: bool = False
) -> tuple[dict[str, Ticket], dict[str, StorageFailed]]:
    """Those that exist, `MANY` at most, and an error for each that cannot be read."""

    def read(some: list[str]) -> dict[str, Ticket]:
        size, given = among(some)
        return {row[0]: ticket_of(row) for row in session.rows(_rows(size, locked), given)}

    return read_apart(ids, read) if ids else ({}, {})


@lru_cache
def _rows(size: int, locked: bool) -> Select[Any]:
    found = select(tickets).where(is_among(tickets.c.id, size))
    return found.order_by(tickets.c.id).with_for_update() if locked else found


def expired(session: Session, before: float) -> list[str]:
    """Some of those that `FORGET` would delete, in the order of their identifiers."""
    return sorted(session.column(_EXPIRED, {"before": before}))


_EXPIRED = (
    select(tickets.c.id)
    .where(tickets.c.expires_at <= bindparam("before"))
    .order_by(tickets.c.expires_at)
    .limit(MANY)
)
