"""How many records there are of each kind, for monitoring.

Rule 1: no query reads finished records. There may be a million complete uploads with all
their parts; those that are open or waiting are few, and an index leads to them.
"""

from __future__ import annotations

from math import inf

from sqlalchemy import Connection, and_, case, func, select

from wherry.catalog.counts import COUNTED, Counts
from wherry.catalog.sql.tables import IS_QUEUED, assessments, parts, totals, uploads
from wherry.core.assessment import AssessmentState
from wherry.core.upload import HOLDS_SPACE, UNFINISHED, State


def counts(connection: Connection, now: float, latest: float = inf) -> Counts:
    """The counts at `now`, in the caller's transaction; `latest` as in `Upload.is_open`."""
    is_open = case((and_(uploads.c.slot_until > now, uploads.c.slot_until <= latest), 1), else_=0)
    by_state = (
        select(uploads.c.state, func.count(), func.sum(is_open), func.sum(uploads.c.limit))
        .where(uploads.c.state.in_([state.value for state in UNFINISHED]))
        .group_by(uploads.c.state)
    )
    found = {State(row[0]): row[1:] for row in connection.execute(by_state)}
    holding = [counted for state, counted in found.items() if state in HOLDS_SPACE]
    queue = select(func.count(), func.min(uploads.c.queued_at)).where(IS_QUEUED)
    waiting, waiting_since = connection.execute(queue).one()
    by_progress = (
        select(assessments.c.state, func.count(), func.min(assessments.c.created_at))
        .where(assessments.c.state.in_([state.value for state in COUNTED]))
        .group_by(assessments.c.state)
    )
    assessed = {AssessmentState(row[0]): row[1:] for row in connection.execute(by_progress)}
    _, queued_since = assessed.get(AssessmentState.QUEUED, (0, None))
    return Counts(
        uploads={state: int(count) for state, (count, _, _) in found.items()},
        open=sum(int(is_open) for _, is_open, _ in holding),
        reserved=sum(int(limit) for _, _, limit in holding),
        waiting=int(waiting),
        waiting_since=waiting_since,
        assessments={state: int(count) for state, (count, _) in assessed.items()},
        queued_since=queued_since,
    )


def used(connection: Connection) -> int:
    """Bytes of all files that are there, unfinished and finished."""
    size = func.coalesce(func.sum(parts.c.end - parts.c.start), 0)
    unfinished = (
        select(size)
        .join_from(uploads, parts)
        .where(uploads.c.state.in_([state.value for state in HOLDS_SPACE]))
    )
    kept = select(totals.c.bytes).where(totals.c.name == "kept")
    return int(connection.execute(unfinished).scalar_one() + connection.execute(kept).scalar_one())
