"""The unit of work: what one transaction has read and changed, before it is committed.

Rule 1: operations see the results of the operations before them in the same transaction.

Rule 2: of an upload, only the difference between what was recorded and what all operations
together leave is written, in one statement for each kind of row.

Rule 3: everything that a change depends on is read here, in the transaction that writes. On
SQLite, that transaction keeps every other writer out from its first statement. A database
with row locks has to take them in these reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from sqlalchemy import Connection, Delete, Table, Update, bindparam, delete, insert, update
from sqlalchemy.sql import Executable

from wherry.catalog.sql import queries
from wherry.catalog.sql.rows import Values, assessment_row, lease_row, part_row, upload_row
from wherry.catalog.sql.tables import assessments, leases, parts, uploads
from wherry.core.admission import Queue
from wherry.core.assessment import Assessment
from wherry.core.errors import DiskFull, NotThere, StorageFailed, UploadNotFound
from wherry.core.upload import Upload

T = TypeVar("T")


def _update_row(table: Table) -> Update:
    names = [column.name for column in table.c if not column.primary_key]
    changed = update(table).where(table.c.id == bindparam("this"))
    return changed.values({name: bindparam(name) for name in names})


def _delete_range(table: Table) -> Delete:
    of_upload = table.c.upload_id == bindparam("this")
    return delete(table).where(of_upload, table.c.start == bindparam("starts"))


_ADD_UPLOAD, _UPDATE_UPLOAD = insert(uploads), _update_row(uploads)
_DELETE_UPLOAD = delete(uploads).where(uploads.c.id == bindparam("this"))
_ADD_PART, _DELETE_PART = insert(parts), _delete_range(parts)
_ADD_LEASE, _DELETE_LEASE = insert(leases), _delete_range(leases)
_ADD_ASSESSMENT, _UPDATE_ASSESSMENT = insert(assessments), _update_row(assessments)


class UnitOfWork:
    """The work of one open transaction, on `connection`.

    `known`: uploads as this transaction would read them; a backend passes only those of which
    it can prove that no other process has changed them, or none. `is_full`: the disk has room
    only for changes that free some.
    """

    def __init__(
        self,
        connection: Connection,
        known: Mapping[str, Upload] = MappingProxyType({}),
        is_full: bool = False,
    ) -> None:
        self._connection = connection
        self._is_full = is_full
        self._recorded: dict[str, Upload | None] = dict(known)
        self._unreadable: dict[str, StorageFailed] = {}
        self._changed: dict[str, Upload] = {}
        self.rows_written = 0

    def check_takes_more(self) -> None:
        """Raises `DiskFull` while only changes that free space may be recorded."""
        if self._is_full:
            raise DiskFull

    def fetch(self, upload_ids: Iterable[str]) -> None:
        """Read these uploads together: one query instead of one for each."""
        read = self._recorded.keys() | self._unreadable.keys()
        unknown = {id_ for id_ in upload_ids if id_ not in read}
        if unknown:
            found, unreadable = queries.read_uploads(self._connection, unknown)
            self._unreadable |= unreadable
            self._recorded.update({id_: found.get(id_) for id_ in unknown - unreadable.keys()})

    def find(self, upload_id: str) -> Upload | None:
        """The upload with the changes of this transaction; None: there is none.

        Raises `StorageFailed` for a record that cannot be read.
        """
        if upload_id in self._changed:
            return self._changed[upload_id]
        self.fetch([upload_id])
        if upload_id in self._unreadable:
            raise self._unreadable[upload_id]
        return self._recorded[upload_id]

    def upload(self, upload_id: str) -> Upload:
        """The same as `find`, but raises `UploadNotFound` where there is none."""
        found = self.find(upload_id)
        if found is None:
            raise UploadNotFound(upload_id)
        return found

    def put(self, upload: Upload) -> None:
        """Record `upload`, a new one or a changed one."""
        self._changed[upload.id] = upload

    def same_upload(self, new: Upload) -> Upload | None:
        """The unfinished upload of the same file, as `Catalog.create` says; None: there is none."""
        self.flush()
        found = queries.same_upload(self._connection, new)
        return None if found is None else self.upload(found)

    def queue(self, now: float, latest: float) -> Queue:
        self.flush()
        return queries.queue(self._connection, now, latest)

    def forget(self, upload_ids: Collection[str]) -> None:
        self.flush()
        self._write(_DELETE_UPLOAD, [{"this": id_} for id_ in upload_ids])
        self._recorded.update(dict.fromkeys(upload_ids))

    def assessment(self, assessment_id: str) -> Assessment:
        """Raises `NotThere`."""
        found = queries.assessment_by_id(self._connection, assessment_id)
        if found is None:
            raise NotThere
        return found

    def leasable_assessment(self, now: float) -> Assessment | None:
        return queries.leasable_assessment(self._connection, now)

    def add_assessment(self, assessment: Assessment) -> None:
        """Add `assessment`, unless its upload has one."""
        self.flush()
        if not queries.has_assessment(self._connection, assessment.upload_id):
            self._write(_ADD_ASSESSMENT, [assessment_row(assessment)])

    def update_assessment(self, before: Assessment, after: Assessment) -> None:
        if before != after:
            self._write(_UPDATE_ASSESSMENT, [_with_key(assessment_row(after))])

    def flush(self) -> None:
        """Write what has changed so far, so that the next query finds it."""
        if not self._changed:
            return
        added: list[Values] = []
        updated: list[Values] = []
        parts_deleted: list[Values] = []
        parts_added: list[Values] = []
        leases_deleted: list[Values] = []
        leases_added: list[Values] = []
        for id_, after in self._changed.items():
            before = self._recorded.get(id_)
            if before is None:
                added.append(upload_row(after))
                before = replace(after, received=type(after.received)(), leases=())
            elif replace(after, received=before.received, leases=before.leases) != before:
                updated.append(_with_key(upload_row(after)))
            old_parts, new_parts = difference(before.received.parts, after.received.parts)
            parts_deleted += [{"this": id_, "starts": part.start} for part in old_parts]
            parts_added += [part_row(id_, part) for part in new_parts]
            old_leases, new_leases = difference(before.leases, after.leases)
            leases_deleted += [{"this": id_, "starts": lease.range.start} for lease in old_leases]
            leases_added += [lease_row(id_, lease) for lease in new_leases]
        self._write(_ADD_UPLOAD, added)
        self._write(_UPDATE_UPLOAD, updated)
        self._write(_DELETE_PART, parts_deleted)
        self._write(_ADD_PART, parts_added)
        self._write(_DELETE_LEASE, leases_deleted)
        self._write(_ADD_LEASE, leases_added)
        self._recorded.update(self._changed)
        self._changed.clear()

    def recorded(self) -> dict[str, Upload]:
        """The uploads that were read or written, as they are recorded after the commit."""
        return {id_: upload for id_, upload in self._recorded.items() if upload is not None}

    def _write(self, statement: Executable, rows: list[Values]) -> None:
        if rows:
            self._connection.execute(statement, rows)
            self.rows_written += len(rows)


def difference(before: tuple[T, ...], after: tuple[T, ...]) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """The items that are only in `before`, and those that are only in `after`.

    Both tuples begin and end with the same objects. Objects are compared by identity, not by
    value: when one part is added to thousands, the others are passed over quickly.
    """
    shared = min(len(before), len(after))
    head = next((i for i in range(shared) if before[i] is not after[i]), shared)
    rest = shared - head
    tail = next((i for i in range(rest) if before[-1 - i] is not after[-1 - i]), rest)
    return before[head : len(before) - tail], after[head : len(after) - tail]


def _with_key(row: Values) -> Values:
    return {**row, "this": row["id"]}
