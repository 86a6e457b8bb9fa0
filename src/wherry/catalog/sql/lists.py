"""Queries for pages: lists, and what the sweep has to delete.

Rule 1: every statement follows an index in the order of its list and stops at the end of
the page. It takes as long with a hundred thousand records as with ten.

Rule 2: each state is read by itself and the results are merged, because no index has the
records of several states in one order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import accumulate, product
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    Double,
    Integer,
    Select,
    Text,
    bindparam,
    exists,
    func,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.sql import ColumnElement

from wherry.catalog.sql.deliveries import deliveries_by_id
from wherry.catalog.sql.queries import MANY, among, assessments_by_id, is_among, uploads_by_id
from wherry.catalog.sql.session import Session, one_of
from wherry.catalog.sql.tables import (
    IS_DISCARDED,
    IS_KEPT,
    assessments,
    deliveries,
    parts,
    tickets,
    uploads,
)
from wherry.catalog.sql.tickets import tickets_by_id
from wherry.core.assessment import NEEDS_FILE, Assessment, AssessmentState
from wherry.core.pages import PAGE, PARTS_ON_PAGE, Cursor, Page, PageRequest
from wherry.core.tickets import Ticket
from wherry.core.upload import State, Upload
from wherry.core.webhooks import Delivery, DeliveryState

Statement = Select[Any]
_AGE = (uploads.c.created_at, uploads.c.id)
_AFTER = tuple_(bindparam("after_at", type_=Double), bindparam("after_id", type_=Text))
_MOST = bindparam("most", type_=Integer)


@dataclass(frozen=True, slots=True)
class _Walk:
    """How a statement walks along an index. Equal walks share one compiled statement."""

    is_continued: bool  #: It begins after a cursor.
    newest: bool

    @classmethod
    def of(cls, page: PageRequest) -> _Walk:
        return cls(page.after is not None, page.newest)

    def along(self, key: tuple[Column[Any], Column[Any]], *conditions: Any) -> Statement:
        """The cursors of the records under these conditions, in order of `key`, up to `most`."""
        here = tuple_(*key)
        beyond = [here < _AFTER if self.newest else here > _AFTER] if self.is_continued else []
        found = select(key[0].label("at"), key[1].label("id")).where(*conditions, *beyond)
        return found.order_by(*map(self._ordered, key)).limit(_MOST)

    def merge(self, walks: Sequence[Statement]) -> Statement:
        if len(walks) == 1:
            return walks[0]
        found = union_all(*(select(walk.subquery()) for walk in walks)).subquery()
        order = map(self._ordered, (found.c.at, found.c.id))
        return select(found.c.at, found.c.id).order_by(*order).limit(_MOST)

    def _ordered(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return column.desc() if self.newest else column


# The caches stay small: what differs from call to call is bound, and not in the statement.


@lru_cache
def _of_states(walk: _Walk, states: int, owned: bool) -> Statement:
    """Uploads in `state0`, `state1` and so on; if `owned`, only those of `owner`."""
    whose = [uploads.c.owner == bindparam("owner")] if owned else []
    by_state = [uploads.c.state == bindparam(f"state{n}") for n in range(states)]
    return walk.merge([walk.along(_AGE, *whose, state) for state in by_state])


@lru_cache
def _due(walk: _Walk, states: int) -> Statement:
    """Uploads in these states, created at `before` or earlier, or later than `now`."""
    created = uploads.c.created_at
    times = (created <= bindparam("before"), created > bindparam("now"))
    by_state = [uploads.c.state == bindparam(f"state{n}") for n in range(states)]
    return walk.merge([walk.along(_AGE, *pair) for pair in product(by_state, times)])


@lru_cache
def _due_files(walk: _Walk) -> Statement:
    is_needed = exists().where(
        assessments.c.upload_id == uploads.c.id,
        one_of(assessments.c.state, [state.value for state in NEEDS_FILE]),
    )
    return walk.along(_AGE, IS_KEPT, uploads.c.created_at <= bindparam("before"), ~is_needed)


@lru_cache
def _due_records(walk: _Walk) -> Statement:
    key = (uploads.c.discarded_at, uploads.c.id)
    return walk.along(key, IS_DISCARDED, uploads.c.discarded_at <= bindparam("before"))


@lru_cache
def _assessments(walk: _Walk, states: int) -> Statement:
    key = (assessments.c.created_at, assessments.c.id)
    by_state = [assessments.c.state == bindparam(f"state{n}") for n in range(states)]
    return walk.merge([walk.along(key, state) for state in by_state])


@lru_cache
def _tickets(walk: _Walk, owned: bool) -> Statement:
    whose = [tickets.c.owner == bindparam("owner")] if owned else []
    return walk.along((tickets.c.created_at, tickets.c.id), *whose)


@lru_cache
def _deliveries(walk: _Walk, states: int) -> Statement:
    key = (deliveries.c.date, deliveries.c.id)
    by_state = [deliveries.c.state == bindparam(f"state{n}") for n in range(states)]
    return walk.merge([walk.along(key, state) for state in by_state])


def uploads_page(
    session: Session, states: Collection[State] | None, owner: str | None, page: PageRequest
) -> Page[Upload]:
    """A page of uploads; `states` None: in every state; `owner` None: of every owner."""
    wanted = _named(State if states is None else states)
    if not wanted:
        return Page()
    statement = _of_states(_Walk.of(page), len(wanted), owner is not None)
    return _page(session, statement, wanted | {"owner": owner}, page)


def alike(session: Session, owner: str, fingerprint: str) -> list[Upload]:
    ids = session.column(_ALIKE, {"owner": owner, "fingerprint": fingerprint})
    uploads_found = uploads_by_id(session, ids)
    return [uploads_found[id_] for id_ in ids if id_ in uploads_found]


_ALIKE = (
    select(uploads.c.id)
    .where(uploads.c.owner == bindparam("owner"))
    .where(uploads.c.fingerprint == bindparam("fingerprint"))
    .order_by(uploads.c.created_at.desc(), uploads.c.id.desc())
    .limit(PAGE)
)


def due(
    session: Session, states: Collection[State], before: float, now: float, page: PageRequest
) -> Page[Upload]:
    wanted = _named(states) | {"before": before, "now": now}
    return _page(session, _due(_Walk.of(page), len(states)), wanted, page)


def due_files(session: Session, before: float, page: PageRequest) -> Page[Upload]:
    return _page(session, _due_files(_Walk.of(page)), {"before": before}, page)


def due_records(session: Session, before: float, page: PageRequest) -> Page[Upload]:
    return _page(session, _due_records(_Walk.of(page)), {"before": before}, page)


def ids(session: Session, states: Collection[State]) -> frozenset[str]:
    """All identifiers of uploads in these states, read from the index alone."""
    return frozenset(session.column(_ids(len(states)), _named(states)) if states else ())


@lru_cache
def _ids(states: int) -> Statement:
    named: list[BindParameter[str]] = [bindparam(f"state{n}") for n in range(states)]
    return select(uploads.c.id).where(uploads.c.state.in_(named))


def assessments_page(
    session: Session, page: PageRequest, states: Collection[AssessmentState] | None
) -> Page[Assessment]:
    """A page of assessments in these states; None: in every state."""
    wanted = _named(AssessmentState if states is None else states)
    if not wanted:
        return Page()
    cursors = _cursors(session, _assessments(_Walk.of(page), len(wanted)), wanted, page)
    shown = [cursor.id for cursor in cursors[: page.limit]]
    found: dict[str, Assessment] = {}
    for first in range(0, len(shown), MANY):
        found |= assessments_by_id(session, shown[first : first + MANY])[0]
    next_ = cursors[page.limit - 1] if len(cursors) > page.limit else None
    return Page([found[id_] for id_ in shown if id_ in found], next_)


def deliveries_page(
    session: Session, states: Collection[DeliveryState] | None, page: PageRequest
) -> Page[Delivery]:
    """A page of deliveries in these states; None: in every state."""
    wanted = _named(DeliveryState if states is None else states)
    if not wanted:
        return Page()
    cursors = _cursors(session, _deliveries(_Walk.of(page), len(wanted)), wanted, page)
    shown = [cursor.id for cursor in cursors[: page.limit]]
    found, _ = deliveries_by_id(session, shown)
    next_ = cursors[page.limit - 1] if len(cursors) > page.limit else None
    return Page([found[id_] for id_ in shown if id_ in found], next_)


def tickets_page(session: Session, owner: str | None, page: PageRequest) -> Page[Ticket]:
    """A page of the tickets of this owner; None: of every owner."""
    statement = _tickets(_Walk.of(page), owner is not None)
    cursors = _cursors(session, statement, {"owner": owner}, page)
    shown = [cursor.id for cursor in cursors[: page.limit]]
    found: dict[str, Ticket] = {}
    for first in range(0, len(shown), MANY):
        found |= tickets_by_id(session, shown[first : first + MANY])[0]
    next_ = cursors[page.limit - 1] if len(cursors) > page.limit else None
    return Page([found[id_] for id_ in shown if id_ in found], next_)


def _named(states: Iterable[Enum]) -> dict[str, object]:
    return {f"state{number}": state.value for number, state in enumerate(states)}


def _page(
    session: Session, statement: Statement, given: Mapping[str, object], page: PageRequest
) -> Page[Upload]:
    cursors = _cursors(session, statement, given, page)
    shown = _with_few_parts(session, cursors[: page.limit])
    found = uploads_by_id(session, [cursor.id for cursor in shown])
    next_ = shown[-1] if len(shown) < len(cursors) else None
    return Page([found[cursor.id] for cursor in shown if cursor.id in found], next_)


def _cursors(
    session: Session, statement: Statement, given: Mapping[str, object], page: PageRequest
) -> list[Cursor]:
    """The cursors of the page, and one more if the list goes on."""
    after = page.after
    here = {} if after is None else {"after_at": after.at, "after_id": after.id}
    found = session.rows(statement, {**given, **here, "most": page.limit + 1})
    return [Cursor(*row) for row in found]


def _with_few_parts(session: Session, cursors: Sequence[Cursor]) -> Sequence[Cursor]:
    """The first of them that fit on a page with all their parts; at least one."""
    counted: dict[str, int] = {}
    for first in range(0, len(cursors), MANY):
        size, some = among([cursor.id for cursor in cursors[first : first + MANY]])
        counted |= dict(session.rows(_counted(size), some))
    in_all = accumulate(counted.get(cursor.id, 0) for cursor in cursors)
    fitting = sum(count <= PARTS_ON_PAGE for count in in_all)
    return cursors[: max(fitting, 1)]


@lru_cache
def _counted(size: int) -> Statement:
    of_uploads = is_among(parts.c.upload_id, size)
    return select(parts.c.upload_id, func.count()).where(of_uploads).group_by(parts.c.upload_id)
