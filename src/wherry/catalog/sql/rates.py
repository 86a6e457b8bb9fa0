"""Queries for what owners have used of their rates, and the statements that change it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert  # SQLite has the same statement

from wherry.catalog.sql.queries import MANY
from wherry.catalog.sql.session import Session
from wherry.catalog.sql.tables import rates
from wherry.core.limits import Used

#: Adds a row, unless another process has added it meanwhile.
ADD = upsert(rates).on_conflict_do_nothing(index_elements=[rates.c.key])
UPDATE = (
    update(rates)
    .where(rates.c.key == bindparam("this"))
    .values({name: bindparam(name) for name in ("seconds", "period", "amount", "before")})
    .values(expires_at=bindparam("expires_at"))
)
#: One that has come into use again since it was found stays.
FORGET = delete(rates).where(
    rates.c.key == bindparam("this"), rates.c.expires_at <= bindparam("now")
)


def row(used: Used) -> dict[str, Any]:
    """All columns but the key."""
    return {
        "seconds": used.seconds,
        "period": used.period,
        "amount": used.amount,
        "before": used.before,
        "expires_at": used.expires_at,
    }


def used(session: Session, key: str) -> Used | None:
    """What is recorded; no other transaction changes it until this one ends."""
    found = session.rows(_USED, {"key": key})
    return Used(*found[0]) if found else None


_USED = (
    select(rates.c.seconds, rates.c.period, rates.c.amount, rates.c.before)
    .where(rates.c.key == bindparam("key"))
    .with_for_update()
)


def expired(session: Session, now: float) -> list[str]:
    """Some of the keys that `FORGET` would delete."""
    return session.column(_EXPIRED, {"now": now})


_EXPIRED = (
    select(rates.c.key)
    .where(rates.c.expires_at <= bindparam("now"))
    .order_by(rates.c.expires_at)
    .limit(MANY)
)
