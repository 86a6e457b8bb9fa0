"""What a group of operations has read and changed, before it is committed.

Rule 1: operations see the results of the ones before them in the group.

Rule 2: of uploads, nothing is written but the difference between what was
recorded and what the whole group leaves, one statement a kind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from sqlalchemy import Connection, Delete, Table, Update, bindparam, delete, insert, update
from sqlalchemy.sql import Executable

from wherry.catalog import queries
from wherry.catalog.rows import Values, assessment_row, lease_row, part_row, upload_row
from wherry.catalog.tables import assessments, leases, parts, uploads
from wherry.core.admission import Line
from wherry.core.assessment import Assessment
from wherry.core.errors import DiskFull, NotThere, UploadNotFound
from wherry.core.upload import Upload

T = TypeVar("T")


def _rewrite(table: Table) -> Update:
    names = [column.name for column in table.c if not column.primary_key]
    changed = update(table).where(table.c.id == bindparam("this"))
    return changed.values({name: bindparam(name) for name in names})


def _remove(table: Table) -> Delete:
    of_upload = table.c.upload_id == bindparam("this")
    return delete(table).where(of_upload, table.c.start == bindparam("starts"))


_ADD_UPLOAD, _REWRITE_UPLOAD = insert(uploads), _rewrite(uploads)
_FORGET_UPLOAD = delete(uploads).where(uploads.c.id == bindparam("this"))
_ADD_PART, _REMOVE_PART = insert(parts), _remove(parts)
_ADD_LEASE, _REMOVE_LEASE = insert(leases), _remove(leases)
_ADD_ASSESSMENT, _REWRITE_ASSESSMENT = insert(assessments), _rewrite(assessments)


class Draft:
    """One group's work in one open transaction.

    `known`: uploads as they are recorded; `is_full`: there is room only for what frees some.
    """

    def __init__(
        self, connection: Connection, known: Mapping[str, Upload], is_full: bool = False
    ) -> None:
        self._connection = connection
        self._is_full = is_full
        self._recorded: dict[str, Upload | None] = dict(known)
        self._changed: dict[str, Upload] = {}
        self.rows_written = 0

    def check_takes_more(self) -> None:
        """Raises `DiskFull` where only what frees space may be recorded."""
        if self._is_full:
            raise DiskFull

    def fetch(self, upload_ids: Iterable[str]) -> None:
        """Read these together, so that they need not be read one by one."""
        unknown = {id_ for id_ in upload_ids if id_ not in self._recorded}
        if unknown:
            found = queries.uploads_by_id(self._connection, unknown)
            self._recorded.update({id_: found.get(id_) for id_ in unknown})

    def find(self, upload_id: str) -> Upload | None:
        if upload_id in self._changed:
            return self._changed[upload_id]
        self.fetch([upload_id])
        return self._recorded[upload_id]

    def upload(self, upload_id: str) -> Upload:
        """Raises `UploadNotFound`."""
        found = self.find(upload_id)
        if found is None:
            raise UploadNotFound(upload_id)
        return found

    def put(self, upload: Upload) -> None:
        self._changed[upload.id] = upload

    def same_upload(self, new: Upload) -> Upload | None:
        """The open upload that `new` would only repeat."""
        self.flush()
        found = queries.same_upload(self._connection, new)
        return None if found is None else self.upload(found)

    def line(self, now: float, latest: float) -> Line:
        self.flush()
        return queries.line(self._connection, now, latest)

    def forget(self, upload_ids: Collection[str]) -> None:
        self.flush()
        self._write(_FORGET_UPLOAD, [{"this": id_} for id_ in upload_ids])
        self._recorded.update(dict.fromkeys(upload_ids))

    def assessment(self, assessment_id: str) -> Assessment:
        """Raises `NotThere`."""
        found = queries.assessment_by_id(self._connection, assessment_id)
        if found is None:
            raise NotThere
        return found

    def leasable_assessment(self, now: float) -> Assessment | None:
        return queries.leasable_assessment(self._connection, now)

    def queue(self, assessment: Assessment) -> None:
        """Add it, unless its upload has one."""
        self.flush()
        if queries.assessment_of_upload(self._connection, assessment.upload_id) is None:
            self._write(_ADD_ASSESSMENT, [assessment_row(assessment)])

    def rewrite_assessment(self, before: Assessment, after: Assessment) -> None:
        if before != after:
            self._write(_REWRITE_ASSESSMENT, [_keyed(assessment_row(after))])

    def flush(self) -> None:
        """Write what has changed so far, as questions that the database answers need it."""
        if not self._changed:
            return
        added: list[Values] = []
        rewritten: list[Values] = []
        parts_gone: list[Values] = []
        parts_come: list[Values] = []
        leases_gone: list[Values] = []
        leases_come: list[Values] = []
        for id_, after in self._changed.items():
            before = self._recorded.get(id_)
            if before is None:
                added.append(upload_row(after))
                before = replace(after, received=type(after.received)(), leases=())
            elif replace(after, received=before.received, leases=before.leases) != before:
                rewritten.append(_keyed(upload_row(after)))
            gone, come = difference(before.received.parts, after.received.parts)
            parts_gone += [{"this": id_, "starts": part.start} for part in gone]
            parts_come += [part_row(id_, part) for part in come]
            lapsed, taken = difference(before.leases, after.leases)
            leases_gone += [{"this": id_, "starts": lease.range.start} for lease in lapsed]
            leases_come += [lease_row(id_, lease) for lease in taken]
        self._write(_ADD_UPLOAD, added)
        self._write(_REWRITE_UPLOAD, rewritten)
        self._write(_REMOVE_PART, parts_gone)
        self._write(_ADD_PART, parts_come)
        self._write(_REMOVE_LEASE, leases_gone)
        self._write(_ADD_LEASE, leases_come)
        self._recorded.update(self._changed)
        self._changed.clear()

    def recorded(self) -> dict[str, Upload]:
        """What this group has read or written, as it is recorded once it is committed."""
        return {id_: upload for id_, upload in self._recorded.items() if upload is not None}

    def _write(self, statement: Executable, rows: list[Values]) -> None:
        if rows:
            self._connection.execute(statement, rows)
            self.rows_written += len(rows)


def difference(before: tuple[T, ...], after: tuple[T, ...]) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """What went and what came, where both begin and end with the same objects.

    It compares no values, so thousands of parts are passed over quickly when one is added.
    """
    shared = min(len(before), len(after))
    head = next((i for i in range(shared) if before[i] is not after[i]), shared)
    rest = shared - head
    tail = next((i for i in range(rest) if before[-1 - i] is not after[-1 - i]), rest)
    return before[head : len(before) - tail], after[head : len(after) - tail]


def _keyed(row: Values) -> Values:
    return {**row, "this": row["id"]}
