"""Queries for single records, and for the queue.

Rule 1: an upload is read together with its parts and leases, in one transaction of the
caller's, so that it never shows half of a change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial

from sqlalchemy import BindParameter, Connection, and_, bindparam, case, exists, func, select

from wherry.catalog.sql.rows import assessment_of, lease_of, upload_of
from wherry.catalog.sql.tables import IS_DISCARDED, IS_QUEUED, assessments, leases, parts, uploads
from wherry.catalog.sql.unreadable import read_apart
from wherry.core.admission import Entry, OpenUpload, Queue, Taken
from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.errors import StorageFailed
from wherry.core.ranges import Part, Range
from wherry.core.upload import ACCEPTS, HOLDS_SPACE, UNFINISHED, Lease, State, Upload

#: The largest number of identifiers in one statement.
MANY = 500


_IDS: BindParameter[str] = bindparam("ids", expanding=True)
_ROWS = select(uploads).where(uploads.c.id.in_(_IDS))
_PARTS = (
    select(parts.c.upload_id, parts.c.start, parts.c.end, parts.c.crc, parts.c.at)
    .where(parts.c.upload_id.in_(_IDS))
    .order_by(parts.c.upload_id, parts.c.start)
)
_LEASES = (
    select(leases)
    .where(leases.c.upload_id.in_(_IDS))
    .order_by(leases.c.upload_id, leases.c.at, leases.c.start)
)


def uploads_by_id(connection: Connection, ids: Iterable[str]) -> dict[str, Upload]:
    """Those that exist and can be read."""
    return read_uploads(connection, ids)[0]


def read_uploads(
    connection: Connection, ids: Iterable[str]
) -> tuple[dict[str, Upload], dict[str, StorageFailed]]:
    """Those that exist, and an error for each that cannot be read."""
    wanted = list(ids)
    found: dict[str, Upload] = {}
    unreadable: dict[str, StorageFailed] = {}
    for first in range(0, len(wanted), MANY):
        some, failed = read_apart(wanted[first : first + MANY], partial(_some, connection))
        found |= some
        unreadable |= failed
    return found, unreadable


def _some(connection: Connection, ids: list[str]) -> dict[str, Upload]:
    given = {"ids": ids}
    found = connection.execute(_ROWS, given).all()
    if not found:
        return {}
    received: dict[str, list[Part]] = defaultdict(list)
    for upload_id, start, end, crc, at in connection.execute(_PARTS, given):
        received[upload_id].append(Part(start, end, crc, at))
    leased: dict[str, list[Lease]] = defaultdict(list)
    for row in connection.execute(_LEASES, given):
        leased[row.upload_id].append(lease_of(row))
    return {row.id: upload_of(row, received[row.id], leased[row.id]) for row in found}


def around(connection: Connection, upload_id: str, within: Range) -> Upload | None:
    """The upload with only the parts and leases that have bytes of `within`.

    Raises `StorageFailed` for one that cannot be read.
    """
    given = {"this": upload_id, "begin": within.start, "over": within.end}

    def read(_: list[str]) -> dict[str, Upload]:
        row = connection.execute(_ROW, given).one_or_none()
        if row is None:
            return {}
        received = [Part(*part) for part in connection.execute(_PARTS_AROUND, given)]
        leased = [lease_of(lease) for lease in connection.execute(_LEASES_AROUND, given)]
        return {upload_id: upload_of(row, received, leased)}

    found, unreadable = read_apart([upload_id], read)
    for failure in unreadable.values():
        raise failure
    return found.get(upload_id)


_ROW = select(uploads).where(uploads.c.id == bindparam("this"))
_PARTS_AROUND = (
    select(parts.c.start, parts.c.end, parts.c.crc, parts.c.at)
    .where(
        parts.c.upload_id == bindparam("this"),
        parts.c.start < bindparam("over"),
        # The last part that begins before, or at, `begin`: parts are sorted and disjoint.
        parts.c.start
        >= func.coalesce(
            select(func.max(parts.c.start))
            .where(parts.c.upload_id == bindparam("this"), parts.c.start <= bindparam("begin"))
            .scalar_subquery(),
            0,
        ),
        parts.c.end > bindparam("begin"),
    )
    .order_by(parts.c.start)
)
_LEASES_AROUND = select(leases).where(
    leases.c.upload_id == bindparam("this"),
    leases.c.start < bindparam("over"),
    leases.c.end > bindparam("begin"),
)


def same_upload(connection: Connection, new: Upload) -> str | None:
    """The identifier of the oldest unfinished upload of the same file as `new`."""
    same = (
        select(uploads.c.id)
        .where(
            uploads.c.owner == new.owner,
            uploads.c.fingerprint == new.fingerprint,
            uploads.c.limit == new.limit,
            uploads.c.length.is_not_distinct_from(new.length),
            uploads.c.state.in_([state.value for state in ACCEPTS]),
        )
        .order_by(uploads.c.created_at, uploads.c.id)
        .limit(1)
    )
    return connection.execute(same).scalar()


def queue(connection: Connection, now: float, latest: float) -> Queue:
    """The queue, what is taken at `now`, and the admitted uploads that missed their turn."""
    at = {"now": now, "latest": latest}
    entries = connection.execute(_ENTRIES).all()
    taken = {row[0]: Taken(int(row[1]), int(row[2])) for row in connection.execute(_TAKEN, at)}
    if not entries:  # what is open or unused matters only while an upload waits
        return Queue((), taken)
    unused = tuple(connection.execute(_UNUSED, at).scalars())
    opened = tuple(OpenUpload(*row) for row in connection.execute(_OPENED, at))
    return Queue(tuple(_entry_of(*row) for row in entries), taken, unused, opened)


_ENTRIES = select(
    uploads.c.id, uploads.c.owner, uploads.c.queued_at, uploads.c.limit, uploads.c.state
).where(IS_QUEUED)

#: As `Upload.is_open` says.
_HOLDS_SPACE = uploads.c.state.in_([state.value for state in HOLDS_SPACE])
_IS_OPEN = and_(
    uploads.c.slot_until > bindparam("now"), uploads.c.slot_until <= bindparam("latest")
)
_TAKEN = (
    select(uploads.c.owner, func.sum(case((_IS_OPEN, 1), else_=0)), func.sum(uploads.c.limit))
    .where(_HOLDS_SPACE)
    .group_by(uploads.c.owner)
)
_OPENED = select(uploads.c.owner, uploads.c.limit, uploads.c.began_at).where(_HOLDS_SPACE, _IS_OPEN)

_UNUSED = select(uploads.c.id).where(
    uploads.c.state == State.RECEIVING.value,
    uploads.c.queued_at.is_(None),
    uploads.c.slot_until <= bindparam("now"),
    ~exists().where(parts.c.upload_id == uploads.c.id),
    ~exists().where(leases.c.upload_id == uploads.c.id),
)


def _entry_of(id_: str, owner: str, since: float, limit: int, state: str) -> Entry:
    has_space = state != State.WAITING.value
    return Entry(id_, owner, since, 0 if has_space else limit, has_space)


def assessment_by_id(connection: Connection, assessment_id: str) -> Assessment | None:
    """Raises `StorageFailed` for one that cannot be read."""
    found, unreadable = assessments_by_id(connection, [assessment_id])
    for failure in unreadable.values():
        raise failure
    return found.get(assessment_id)


def assessments_by_id(
    connection: Connection, ids: Sequence[str]
) -> tuple[dict[str, Assessment], dict[str, StorageFailed]]:
    """Those that exist, `MANY` at most, and an error for each that cannot be read."""

    def read(some: list[str]) -> dict[str, Assessment]:
        rows = connection.execute(_ASSESSMENTS, {"ids": some})
        return {row.id: assessment_of(row) for row in rows}

    return read_apart(ids, read)


_ASSESSMENTS = select(assessments).where(assessments.c.id.in_(_IDS))


def has_assessment(connection: Connection, upload_id: str) -> bool:
    return connection.execute(_OF_UPLOAD, {"this": upload_id}).first() is not None


_OF_UPLOAD = select(assessments.c.id).where(assessments.c.upload_id == bindparam("this"))


def leasable_assessment(connection: Connection, now: float) -> Assessment | None:
    """The oldest that no worker has a lease on at `now`, as `Assessment.is_leasable` says.

    Two queries, because the index has the assessments of one state in this order. Running
    ones are as few as workers, so all of them are read.
    """
    running, _ = assessments_by_id(connection, connection.execute(_RUNNING).scalars().all())
    found = [a for a in (_oldest_queued(connection), *running.values()) if a and a.is_leasable(now)]
    return min(found, key=lambda a: (a.created_at, a.id), default=None)


def _oldest_queued(connection: Connection) -> Assessment | None:
    """The oldest queued one that can be read; further ones are read only if it cannot."""
    for most in (1, _MOST_UNREADABLE):
        for id_ in connection.execute(_QUEUED, {"most": most}).scalars().all():
            found, _ = assessments_by_id(connection, [id_])
            if found:
                return found[id_]
    return None


#: How many queued assessments are tried until one can be read.
_MOST_UNREADABLE = 100
_QUEUED = (
    select(assessments.c.id)
    .where(assessments.c.state == AssessmentState.QUEUED.value)
    .order_by(assessments.c.created_at, assessments.c.id)
    .limit(bindparam("most"))
)
_RUNNING = (
    select(assessments.c.id).where(assessments.c.state == AssessmentState.RUNNING.value).limit(MANY)
)


_TOKENS = select(leases.c.token).where(leases.c.upload_id == bindparam("this"))


def tokens(connection: Connection, upload_id: str) -> frozenset[str]:
    return frozenset(connection.execute(_TOKENS, {"this": upload_id}).scalars())


def newest(connection: Connection) -> float | None:
    """The latest moment in any record, as `Catalog.newest` says."""
    return max(
        (at for ask in _NEWEST for at in connection.execute(ask).scalars() if at is not None),
        default=None,
    )


_UNFINISHED = uploads.c.state.in_([state.value for state in UNFINISHED])
_NEWEST = (
    # State by state: the newest one is at the end of each state's part of an index.
    *(
        select(func.max(uploads.c.created_at)).where(uploads.c.state == state.value)
        for state in State
    ),
    select(func.max(uploads.c.discarded_at)).where(IS_DISCARDED),
    select(func.max(uploads.c.began_at)).where(_UNFINISHED),
    select(func.max(uploads.c.queued_at)).where(_UNFINISHED),
    select(func.max(parts.c.at)).join_from(parts, uploads).where(_UNFINISHED),
    select(func.max(leases.c.at)).join_from(leases, uploads).where(_UNFINISHED),
)
