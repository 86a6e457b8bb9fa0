"""Brings an upload that was read earlier up to date, without reading all its parts again.

Another process may have added parts since. To read them all and make values of them takes
twenty times as long as the database takes to add up their sizes.

Rule 1: bytes come and never go while an upload has the same record. So where as many bytes of a
stretch are safe as before, they are the same ones, and their parts have the same digests.

Rule 2: where they are more, the search goes on in both halves, and the parts there are read.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import bindparam, case, func, select

from wherry.catalog.sql import queries
from wherry.catalog.sql.rows import upload_of
from wherry.catalog.sql.session import Session
from wherry.catalog.sql.tables import parts
from wherry.catalog.sql.unreadable import read_apart
from wherry.core.errors import StorageFailed
from wherry.core.limits import LARGEST_SIZE
from wherry.core.ranges import Part, PartSet, Range
from wherry.core.upload import Upload

#: An upload with at least this many parts is refreshed; any other is read again.
MANY_PARTS = 250


def refreshed(
    session: Session, earlier: Upload
) -> tuple[dict[str, Upload], dict[str, StorageFailed]]:
    """The same as `queries.read_uploads` with `locked`, for an upload as it was read `earlier`."""

    def read(_: list[str]) -> dict[str, Upload]:
        row = queries.upload_row_of(session, earlier.id, locked=True)
        if row is None:
            return {}
        leases = queries.leases_of(session, earlier.id)
        now = upload_of(row, (), leases, _parts_now(session, earlier))
        if now.created_at == earlier.created_at:
            return {earlier.id: now}
        return queries.uploads_by_id(
            session, [earlier.id]
        )  # locked; another upload of this identifier

    return read_apart([earlier.id], read)


def _parts_now(session: Session, earlier: Upload) -> PartSet:
    received = earlier.received
    for part in list(_grown(session, earlier)):
        if received.missing(part.range):
            received = received.replacing(part)
    return received


def _grown(session: Session, earlier: Upload) -> Iterator[Part]:
    """The parts in all stretches of the file where bytes have come."""
    stretches = earlier.received.stretches()
    begins = [begin for begin, _ in stretches] + [LARGEST_SIZE + 1]
    before = [safe for _, safe in stretches] + [earlier.received.size]

    def safe_now(first: int, last: int) -> int:
        given = {"this": earlier.id, "begin": begins[first], "over": begins[last]}
        return int(session.column(_SAFE_WITHIN, given)[0])

    todo = [(0, len(stretches), safe_now(0, len(stretches)))]
    while todo:
        first, last, safe = todo.pop()
        if safe == before[last] - before[first]:
            continue
        if last - first == 1:
            within = Range(begins[first], begins[last])
            yield from queries.parts_around(session, earlier.id, within)
            continue
        middle = (first + last) // 2
        in_first = safe_now(first, middle)
        todo += [(first, middle, in_first), (middle, last, safe - in_first)]


_BEGIN = case((parts.c.start < bindparam("begin"), bindparam("begin")), else_=parts.c.start)
_END = case((parts.c.end > bindparam("over"), bindparam("over")), else_=parts.c.end)
_SAFE_WITHIN = select(func.coalesce(func.sum(_END - _BEGIN), 0)).where(*queries.IS_PART_AROUND)
