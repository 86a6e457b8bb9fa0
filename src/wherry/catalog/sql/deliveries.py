"""Queries for deliveries of webhooks, and the statements that change them.

Rule 1: what is due of one endpoint is found by an index, however many deliveries others have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, insert, select

from wherry.catalog.sql.queries import MANY, among, is_among
from wherry.catalog.sql.rows import delivery_of
from wherry.catalog.sql.session import Session, one_of
from wherry.catalog.sql.tables import HAS_ENDED, deliveries
from wherry.catalog.sql.unreadable import read_apart
from wherry.core.errors import StorageFailed
from wherry.core.webhooks import Delivery, DeliveryState

ADD = insert(deliveries)
#: Deliveries that ended at `before` or earlier; also those that seem to have ended after `now`,
#: because the clock was set back.
_IS_OLD = (
    HAS_ENDED,
    (deliveries.c.ended_at <= bindparam("before")) | (deliveries.c.ended_at > bindparam("now")),
)
FORGET = delete(deliveries).where(*_IS_OLD)


def deliveries_by_id(
    session: Session, ids: Sequence[str], locked: bool = False
) -> tuple[dict[str, Delivery], dict[str, StorageFailed]]:
    """Those that exist, and an error for each that cannot be read.

    `locked`: no other transaction changes them until this one ends.
    """

    def read(some: list[str]) -> dict[str, Delivery]:
        size, given = among(some)
        return {row[0]: delivery_of(row) for row in session.rows(_rows(size, locked), given)}

    found: dict[str, Delivery] = {}
    unreadable: dict[str, StorageFailed] = {}
    for first in range(0, len(ids), MANY):
        some, failed = read_apart(ids[first : first + MANY], read)
        found |= some
        unreadable |= failed
    return found, unreadable


@lru_cache
def _rows(size: int, locked: bool) -> Select[Any]:
    found = select(deliveries).where(is_among(deliveries.c.id, size))
    return found.order_by(deliveries.c.id).with_for_update() if locked else found


def due(session: Session, url: str, now: float, most: int, locked: bool = False) -> list[Delivery]:
    """The first `most` that are due of this endpoint: new ones, then those that failed before."""
    ids = session.column(_DUE, {"url": url, "now": now, "most": most})
    found, _ = deliveries_by_id(session, ids, locked)
    return [found[id_] for id_ in ids if id_ in found and found[id_].is_due(now)]


_DUE = (
    select(deliveries.c.id)
    .where(deliveries.c.state == DeliveryState.PENDING.value)
    .where(deliveries.c.url == bindparam("url"))
    .where(deliveries.c.due_at <= bindparam("now"))
    .order_by(deliveries.c.due_at, deliveries.c.date, deliveries.c.id)
    .limit(bindparam("most"))
)


def is_any_old(session: Session, before: float, now: float) -> bool:
    """Whether `FORGET` would delete any."""
    return bool(session.column(_OLD, {"before": before, "now": now}))


_OLD = select(deliveries.c.id).where(*_IS_OLD).limit(1)


def gone(session: Session) -> frozenset[str]:
    """The endpoints that have answered 410."""
    return frozenset(session.column(_GONE))


_GONE = select(deliveries.c.url).where(deliveries.c.state == DeliveryState.GONE.value).distinct()


def counts(session: Session, states: Iterable[DeliveryState]) -> dict[DeliveryState, int]:
    found = session.rows(_counted(tuple(states)))
    return {DeliveryState(state): int(count) for state, count in found}


@lru_cache
def _counted(states: tuple[DeliveryState, ...]) -> Select[Any]:
    counted = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
    return counted.where(one_of(deliveries.c.state, [state.value for state in states]))
