"""How many records there are of each kind, for monitoring.

Rule 1: no query reads finished records. There may be a million complete uploads with all
their parts; those that are open or waiting are few, and an index leads to them.
"""

from __future__ import annotations

from math import inf

from sqlalchemy import and_, bindparam, case, func, select

from wherry.catalog.counts import COUNTED, COUNTED_DELIVERIES, Counts
from wherry.catalog.sql import deliveries
from wherry.catalog.sql.session import Session, one_of
from wherry.catalog.sql.tables import IS_QUEUED, assessments, parts, totals, uploads
from wherry.core.assessment import AssessmentState
from wherry.core.upload import HOLDS_SPACE, UNFINISHED, State


def counts(session: Session, now: float, latest: float = inf) -> Counts:
    """The counts at `now`, in the caller's transaction; `latest` as in `Upload.is_open`."""
    by_state = session.rows(_BY_STATE, {"now": now, "latest": latest})
    found = {State(row[0]): row[1:] for row in by_state}
    holding = [counted for state, counted in found.items() if state in HOLDS_SPACE]
    [(waiting, waiting_since)] = session.rows(_WAITING)
    assessed = {AssessmentState(row[0]): row[1:] for row in session.rows(_BY_PROGRESS)}
    _, queued_since = assessed.get(AssessmentState.QUEUED, (0, None))
    return Counts(
        uploads={state: int(count) for state, (count, _, _) in found.items()},
        open=sum(int(is_open) for _, is_open, _ in holding),
        reserved=sum(int(limit) for _, _, limit in holding),
        waiting=int(waiting),
        waiting_since=waiting_since,
        assessments={state: int(count) for state, (count, _) in assessed.items()},
        queued_since=queued_since,
        deliveries=deliveries.counts(session, COUNTED_DELIVERIES),
    )


_IS_OPEN = and_(
    uploads.c.slot_until > bindparam("now"), uploads.c.slot_until <= bindparam("latest")
)
_BY_STATE = (
    select(
        uploads.c.state,
        func.count(),
        func.sum(case((_IS_OPEN, 1), else_=0)),
        func.sum(uploads.c.limit),
    )
    .where(one_of(uploads.c.state, [state.value for state in UNFINISHED]))
    .group_by(uploads.c.state)
)
_WAITING = select(func.count(), func.min(uploads.c.queued_at)).where(IS_QUEUED)
_BY_PROGRESS = (
    select(assessments.c.state, func.count(), func.min(assessments.c.created_at))
    .where(one_of(assessments.c.state, [state.value for state in COUNTED]))
    .group_by(assessments.c.state)
)


def used(session: Session) -> int:
    """Bytes of all files that are there, unfinished and finished."""
    return int(session.column(_UNFINISHED)[0] + session.column(_KEPT)[0])


_UNFINISHED = (
    select(func.coalesce(func.sum(parts.c.end - parts.c.start), 0))
    .join_from(uploads, parts)
    .where(one_of(uploads.c.state, [state.value for state in HOLDS_SPACE]))
)
_KEPT = select(func.coalesce(func.sum(totals.c.bytes), 0))
