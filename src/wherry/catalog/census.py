"""How many records there are of each kind, for who watches.

Rule 1: nothing here looks at what is finished. There may be a million complete
uploads with all their parts; what is open, waiting or queued is little, and has
an index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from sqlalchemy import Connection, and_, case, func, select

from wherry.catalog.tables import IS_IN_LINE, assessments, parts, totals, uploads
from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.upload import HOLDS_SPACE, UNFINISHED, State, Upload

#: Assessments that are counted: those that are to be done, and those that went wrong.
COUNTED = (AssessmentState.QUEUED, AssessmentState.RUNNING, AssessmentState.FAILED)


@dataclass(frozen=True, slots=True)
class Census:
    """Unfinished uploads by state, with slots and bytes taken; the line; assessments by state.

    `waiting_since`, `queued_since`: since when (by the clock of deadlines) the first in
    the line stands there, and the oldest assessment that nobody has begun; None: there is none.
    """

    uploads: Mapping[State, int] = field(default_factory=dict, hash=False)
    open: int = 0
    reserved: int = 0
    waiting: int = 0
    waiting_since: float | None = None
    assessments: Mapping[AssessmentState, int] = field(default_factory=dict, hash=False)
    queued_since: float | None = None


def census(connection: Connection, now: float, latest: float = inf) -> Census:
    """As it is at `now`, in the caller's transaction; `latest` as in `Upload.is_open`."""
    is_open = case((and_(uploads.c.slot_until > now, uploads.c.slot_until <= latest), 1), else_=0)
    by_state = (
        select(uploads.c.state, func.count(), func.sum(is_open), func.sum(uploads.c.limit))
        .where(uploads.c.state.in_([state.value for state in UNFINISHED]))
        .group_by(uploads.c.state)
    )
    found = {State(row[0]): row[1:] for row in connection.execute(by_state)}
    holding = [counted for state, counted in found.items() if state in HOLDS_SPACE]
    line = select(func.count(), func.min(uploads.c.queued_at)).where(IS_IN_LINE)
    waiting, waiting_since = connection.execute(line).one()
    by_progress = (
        select(assessments.c.state, func.count(), func.min(assessments.c.created_at))
        .where(assessments.c.state.in_([state.value for state in COUNTED]))
        .group_by(assessments.c.state)
    )
    assessed = {AssessmentState(row[0]): row[1:] for row in connection.execute(by_progress)}
    _, queued_since = assessed.get(AssessmentState.QUEUED, (0, None))
    return Census(
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


def used_by(upload: Upload) -> int:
    """The same of one upload."""
    if upload.is_complete():
        return 0 if upload.discarded_at is not None else upload.length or 0
    return upload.received.size if upload.state in HOLDS_SPACE else 0


def census_of(
    found: Iterable[Upload], assessed: Iterable[Assessment], now: float, latest: float = inf
) -> Census:
    """The same, of records that are at hand."""
    kept = [upload for upload in found if upload.state in UNFINISHED]
    holding = [upload for upload in kept if upload.state in HOLDS_SPACE]
    line = [upload.queued_at for upload in kept if upload.queued_at is not None]
    counted = [assessment for assessment in assessed if assessment.state in COUNTED]
    queued = [a.created_at for a in counted if a.state is AssessmentState.QUEUED]
    return Census(
        uploads=Counter(upload.state for upload in kept),
        open=sum(upload.is_open(now, latest) for upload in holding),
        reserved=sum(upload.limit for upload in holding),
        waiting=len(line),
        waiting_since=min(line, default=None),
        assessments=Counter(assessment.state for assessment in counted),
        queued_since=min(queued, default=None),
    )
