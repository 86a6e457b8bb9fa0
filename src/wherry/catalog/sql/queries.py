"""Queries for single records, and for the queue.

Rule 1: an upload is read together with its parts and leases, in one transaction of the
caller's, so that it never shows half of a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import Column, Select, and_, any_, bindparam, case, exists, func, select, update
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.dml import ReturningUpdate

from wherry.catalog.sql.occupancy import Occupancy
from wherry.catalog.sql.rows import assessment_of, lease_of, upload_of
from wherry.catalog.sql.session import Row, Session, one_of
from wherry.catalog.sql.tables import (
    IS_DISCARDED,
    IS_QUEUED,
    WAITS_FOR_WORKER,
    assessments,
    leases,
    parts,
    tickets,
    uploads,
)
from wherry.catalog.sql.unreadable import read_apart
from wherry.core.admission import Entry, OpenUpload, Queue, Taken
from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.errors import StorageFailed
from wherry.core.ranges import Part, Range
from wherry.core.upload import ACCEPTS, HOLDS_SPACE, UNFINISHED, Lease, State, Upload

#: When an upload was created, and a number that changes with each change of it.
Version = tuple[float, int]

#: The largest number of identifiers in one statement.
MANY = 500


def among(ids: Sequence[str]) -> tuple[int, dict[str, str]]:
    """How many parameters a statement has for these identifiers, and the parameters.

    The number is a power of two, so that there are few statements; the last one is repeated.
    """
    size = 1 << (len(ids) - 1).bit_length()
    given = {f"id{n}": id_ for n, id_ in enumerate(ids)}
    return size, given | {f"id{n}": ids[-1] for n in range(len(ids), size)}


def is_among(column: Column[str], size: int) -> ColumnElement[bool]:
    """Whether the column has one of the identifiers of `among`."""
    return column.in_([bindparam(f"id{n}") for n in range(size)])


@lru_cache
def _rows(size: int, locked: bool) -> Select[Any]:
    found = select(uploads).where(is_among(uploads.c.id, size))
    # In one order, so that two transactions do not wait for each other.
    return found.order_by(uploads.c.id).with_for_update() if locked else found


@lru_cache
def _parts(size: int) -> Select[Any]:
    columns = (parts.c.upload_id, parts.c.start, parts.c.end, parts.c.crc, parts.c.at)
    of_uploads = is_among(parts.c.upload_id, size)
    return select(*columns).where(of_uploads).order_by(parts.c.upload_id, parts.c.start)


_LEASE = (leases.c.start, leases.c.end, leases.c.token, leases.c.at)


@lru_cache
def _leases(size: int) -> Select[Any]:
    of_uploads = is_among(leases.c.upload_id, size)
    order = (leases.c.upload_id, leases.c.at, leases.c.start)
    return select(leases.c.upload_id, *_LEASE).where(of_uploads).order_by(*order)


def uploads_by_id(session: Session, ids: Iterable[str]) -> dict[str, Upload]:
    """Those that exist and can be read."""
    return read_uploads(session, ids)[0]


def read_uploads(
    session: Session, ids: Iterable[str], locked: bool = False
) -> tuple[dict[str, Upload], dict[str, StorageFailed]]:
    """Those that exist, and an error for each that cannot be read.

    `locked`: no other transaction changes them, their parts and their leases until this one ends.
    """
    wanted = sorted(ids)
    found: dict[str, Upload] = {}
    unreadable: dict[str, StorageFailed] = {}
    for first in range(0, len(wanted), MANY):
        some, failed = read_apart(wanted[first : first + MANY], partial(_some, session, locked))
        found |= some
        unreadable |= failed
    return found, unreadable


def lock_uploads(session: Session, ids: Iterable[str]) -> None:
    """Keep other transactions from changing these uploads, as `read_uploads` does."""
    wanted = sorted(ids)
    for first in range(0, len(wanted), MANY):
        size, given = among(wanted[first : first + MANY])
        session.rows(_locked_ids(size), given)


def change_versions(session: Session, ids: Iterable[str]) -> dict[str, Version]:
    """The same; and the new version of each upload that exists, which is changed by that."""
    wanted = sorted(ids)
    found: dict[str, Version] = {}
    for first in range(0, len(wanted), MANY):
        size, given = among(wanted[first : first + MANY])
        rows = session.rows(_changed_versions(size), given)
        found |= {id_: (created_at, version) for id_, created_at, version in rows}
    return found


@lru_cache
def _changed_versions(size: int) -> ReturningUpdate[Any]:
    # An array of unknown length: even without statistics, the server takes the index.
    locked = func.array(_locked_ids(size).scalar_subquery())
    changed = update(uploads).where(uploads.c.id == any_(locked))
    columns = uploads.c.id, uploads.c.created_at, uploads.c.version
    return changed.values(version=uploads.c.version + 1).returning(*columns)


@lru_cache
def _locked_ids(size: int) -> Select[Any]:
    of_uploads = select(uploads.c.id).where(is_among(uploads.c.id, size))
    return of_uploads.order_by(uploads.c.id).with_for_update()


def _some(session: Session, locked: bool, ids: list[str]) -> dict[str, Upload]:
    size, given = among(ids)
    # The rows of uploads first: what comes after them is read under their locks.
    asked = (_rows(size, locked), given), (_parts(size), given), (_leases(size), given)
    answers = session.answers(*asked)
    if not (found := next(answers)):
        return {}
    received: dict[str, list[Part]] = {}
    for upload_id, *part in next(answers):
        received.setdefault(upload_id, []).append(Part(*part))
    leased: dict[str, list[Lease]] = {}
    for upload_id, *lease in next(answers):
        leased.setdefault(upload_id, []).append(lease_of(*lease))
    return {
        row[0]: upload_of(row, received.get(row[0], ()), leased.get(row[0], ())) for row in found
    }


def around(session: Session, upload_id: str, within: Range) -> Upload | None:
    """The upload with only the parts and leases that have bytes of `within`.

    Raises `StorageFailed` for one that cannot be read.
    """

    given = {"this": upload_id, "begin": within.start, "over": within.end}

    def read(_: list[str]) -> dict[str, Upload]:
        answers = session.answers((_ROW, given), (_LEASES_OF, given), (_PARTS_AROUND, given))
        if not (rows := next(answers)):
            return {}
        leases = [lease_of(*lease) for lease in next(answers)]
        near = [lease for lease in leases if lease.range.overlaps(within)]
        return {upload_id: upload_of(rows[0], [Part(*part) for part in next(answers)], near)}

    found, unreadable = read_apart([upload_id], read)
    for failure in unreadable.values():
        raise failure
    return found.get(upload_id)


def upload_row_of(session: Session, upload_id: str, locked: bool = False) -> Row | None:
    """The upload's own row; None: there is none. `locked`: as in `read_uploads`."""
    found = session.rows(_LOCKED_ROW if locked else _ROW, {"this": upload_id})
    return found[0] if found else None


_ROW = select(uploads).where(uploads.c.id == bindparam("this"))
_LOCKED_ROW = _ROW.with_for_update()


def leases_of(session: Session, upload_id: str) -> list[Lease]:
    """All leases of an upload; there are as many as requests that write into it."""
    return [lease_of(*lease) for lease in session.rows(_LEASES_OF, {"this": upload_id})]


_LEASES_OF = (
    select(*_LEASE)
    .where(leases.c.upload_id == bindparam("this"))
    .order_by(leases.c.at, leases.c.start)
)


@lru_cache
def _tokens(size: int) -> Select[Any]:
    return select(leases.c.token).where(is_among(leases.c.upload_id, size))


def tokens(session: Session, upload_ids: Iterable[str]) -> frozenset[str]:
    """The tokens of all leases of these uploads."""
    wanted, found = list(upload_ids), set[str]()
    for first in range(0, len(wanted), MANY):
        size, given = among(wanted[first : first + MANY])
        found.update(session.column(_tokens(size), given))
    return frozenset(found)


def parts_around(session: Session, upload_id: str, within: Range) -> list[Part]:
    """The parts of an upload that have bytes of `within`, in order."""
    given = {"this": upload_id, "begin": within.start, "over": within.end}
    return [Part(*part) for part in session.rows(_PARTS_AROUND, given)]


#: The part has bytes from `begin` up to `over`, and is of the upload `this`.
IS_PART_AROUND = (
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
_PARTS_AROUND = (
    select(parts.c.start, parts.c.end, parts.c.crc, parts.c.at)
    .where(*IS_PART_AROUND)
    .order_by(parts.c.start)
)


def same_upload(session: Session, new: Upload) -> str | None:
    """The identifier of the oldest unfinished upload of the same file as `new`."""
    given = {
        "owner": new.owner,
        "fingerprint": new.fingerprint,
        "limit": new.limit,
        "length": new.length,
        "ticket_id": new.ticket_id,
    }
    found = session.column(_SAME, given)
    return found[0] if found else None


_SAME = (
    select(uploads.c.id)
    .where(
        uploads.c.owner == bindparam("owner"),
        uploads.c.fingerprint == bindparam("fingerprint"),
        uploads.c.limit == bindparam("limit"),
        uploads.c.length.is_not_distinct_from(bindparam("length")),
        uploads.c.ticket_id.is_not_distinct_from(bindparam("ticket_id")),
        one_of(uploads.c.state, [state.value for state in ACCEPTS]),
    )
    .order_by(uploads.c.created_at, uploads.c.id)
    .limit(1)
)


def queue(session: Session, now: float, latest: float) -> tuple[Queue, Occupancy | None]:
    """The queue, what is taken at `now`, and the admitted uploads that missed their turn.

    Also what is taken as an `Occupancy`; None while an upload waits.
    """
    at = {"now": now, "latest": latest}
    entries, held = session.rows(_ENTRIES), session.rows(_TAKEN, at)
    if not entries:  # what is open or unused matters only while an upload waits
        occupancy = Occupancy(now, latest)
        for owner, holding, opened, reserved, *ends in held:
            occupancy.count(owner, int(holding), int(opened), int(reserved))
            occupancy.narrow(ends)
        return Queue((), occupancy.taken()), occupancy
    taken = {owner: Taken(int(open_), int(size)) for owner, _, open_, size, *_ in held}
    unused = tuple(session.column(_UNUSED, at))
    open_uploads = tuple(OpenUpload(*row) for row in session.rows(_OPENED, at))
    return Queue(tuple(_entry_of(*row) for row in entries), taken, unused, open_uploads), None


_ENTRIES = select(
    uploads.c.id, uploads.c.owner, uploads.c.queued_at, uploads.c.limit, uploads.c.state
).where(IS_QUEUED)

#: As `Upload.is_open` says.
_HOLDS_SPACE = one_of(uploads.c.state, [state.value for state in HOLDS_SPACE])
_IS_OPEN = and_(
    uploads.c.slot_until > bindparam("now"), uploads.c.slot_until <= bindparam("latest")
)
_UNTIL = uploads.c.slot_until
_TAKEN = (
    select(
        uploads.c.owner,
        func.count(),
        func.sum(case((_IS_OPEN, 1), else_=0)),
        func.sum(uploads.c.limit),
        # The ends of slots next to both moments.
        *(
            least_or_most
            for name in ("now", "latest")
            for least_or_most in (
                func.max(case((bindparam(name) >= _UNTIL, _UNTIL))),
                func.min(case((bindparam(name) < _UNTIL, _UNTIL))),
            )
        ),
    )
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


def assessment_by_id(
    session: Session, assessment_id: str, locked: bool = False
) -> Assessment | None:
    """Raises `StorageFailed` for one that cannot be read. `locked`: as in `read_uploads`."""
    found, unreadable = assessments_by_id(session, [assessment_id], locked)
    for failure in unreadable.values():
        raise failure
    return found.get(assessment_id)


def assessments_by_id(
    session: Session, ids: Sequence[str], locked: bool = False
) -> tuple[dict[str, Assessment], dict[str, StorageFailed]]:
    """Those that exist, `MANY` at most, and an error for each that cannot be read."""

    def read(some: list[str]) -> dict[str, Assessment]:
        size, given = among(some)
        found = session.rows(_assessments(size, locked), given)
        return {row[0]: assessment_of(row) for row in found}

    return read_apart(ids, read) if ids else ({}, {})


@lru_cache
def _assessments(size: int, locked: bool) -> Select[Any]:
    found = select(assessments).where(is_among(assessments.c.id, size))
    return found.order_by(assessments.c.id).with_for_update() if locked else found


def has_assessment(session: Session, upload_id: str) -> bool:
    return bool(session.rows(_OF_UPLOAD, {"this": upload_id}))


_OF_UPLOAD = select(assessments.c.id).where(assessments.c.upload_id == bindparam("this"))


def leasable_assessment(session: Session, now: float) -> Assessment | None:
    """The first that no worker has a lease on at `now`, as `Assessment.is_leasable` says.

    Two queries, because the index has only those that wait in this order. Running
    ones are as few as workers, so all of them are read.
    """
    running, _ = assessments_by_id(session, session.column(_RUNNING))
    found = [a for a in (_first_queued(session), *running.values()) if a and a.is_leasable(now)]
    return min(found, key=lambda a: a.order, default=None)


def leased_assessments(session: Session, now: float) -> int:
    """How many assessments workers have leased at `now`."""
    running, _ = assessments_by_id(session, session.column(_RUNNING))
    return sum(not assessment.is_leasable(now) for assessment in running.values())


def _first_queued(session: Session) -> Assessment | None:
    """The first queued one that can be read; further ones are read only if it cannot."""
    for most in (1, _MOST_UNREADABLE):
        for id_ in session.column(QUEUED, {"most": most}):
            found, _ = assessments_by_id(session, [id_])
            if found:
                return found[id_]
    return None


#: How many queued assessments are tried until one can be read.
_MOST_UNREADABLE = 100
QUEUED = (
    select(assessments.c.id)
    .where(WAITS_FOR_WORKER)
    .order_by(assessments.c.rank, assessments.c.created_at, assessments.c.id)
    .limit(bindparam("most"))
)
_RUNNING = (
    select(assessments.c.id).where(assessments.c.state == AssessmentState.RUNNING.value).limit(MANY)
)


def newest(session: Session) -> float | None:
    """The latest moment in any record, as `Catalog.newest` says."""
    return max(
        (at for ask in _NEWEST for at in session.column(ask) if at is not None),
        default=None,
    )


_UNFINISHED = one_of(uploads.c.state, [state.value for state in UNFINISHED])
_NEWEST = (
    # State by state: the newest one is at the end of each state's part of an index.
    *(
        select(func.max(uploads.c.created_at)).where(uploads.c.state == state.value)
        for state in State
    ),
    select(func.max(uploads.c.discarded_at)).where(IS_DISCARDED),
    select(func.max(tickets.c.created_at)),
    select(func.max(uploads.c.began_at)).where(_UNFINISHED),
    select(func.max(uploads.c.queued_at)).where(_UNFINISHED),
    select(func.max(parts.c.at)).join_from(parts, uploads).where(_UNFINISHED),
    select(func.max(leases.c.at)).join_from(leases, uploads).where(_UNFINISHED),
)
