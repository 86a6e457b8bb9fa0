"""The unit of work: what one transaction has read and changed, before it is committed.

Rule 1: operations see the results of the operations before them in the same transaction.

Rule 2: of an upload, only the difference between what was recorded and what all operations
together leave is written, in one statement for each kind of row. Of its own row, only columns that
have changed are written, because every index of a written column is written, too.

Rule 3: everything that a change depends on is read here, in the transaction that writes, and
stays as it is until that ends. On SQLite, that transaction keeps every other writer out from its
first statement. A database with row locks takes them in these reads; whoever adds or removes
parts and leases of an upload has the lock of its row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import TypeVar

from sqlalchemy import Delete, Table, Update, bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert  # SQLite has the same statement
from sqlalchemy.sql import Executable

from wherry.catalog.sql import deliveries, paths, queries, rates, tables, tickets
from wherry.catalog.sql.occupancy import Occupancy
from wherry.catalog.sql.refresh import refreshed
from wherry.catalog.sql.rows import (
    FACTS,
    Values,
    assessment_row,
    delivery_row,
    lease_row,
    part_row,
    path_row,
    ticket_row,
    upload_row,
)
from wherry.catalog.sql.session import Session
from wherry.catalog.sql.tables import assessments, installation, leases, parts, uploads
from wherry.catalog.sql.tickets import TicketUses
from wherry.core.admission import Queue
from wherry.core.assessment import Assessment
from wherry.core.errors import DiskFull, NotThere, StorageFailed, UploadNotFound
from wherry.core.installation import Installation
from wherry.core.limits import Used
from wherry.core.paths import Paths
from wherry.core.ranges import PartSet
from wherry.core.tickets import Ticket
from wherry.core.upload import Upload
from wherry.core.webhooks import Delivery, Outbox

T = TypeVar("T")


@lru_cache
def _update_row(table: Table, names: tuple[str, ...]) -> Update:
    changed = update(table).where(table.c.id == bindparam("this"))
    return changed.values({name: bindparam(name) for name in names})


def _delete_range(table: Table) -> Delete:
    of_upload = table.c.upload_id == bindparam("this")
    return delete(table).where(of_upload, table.c.start == bindparam("starts"))


_ADD_UPLOAD = insert(uploads)
_DELETE_UPLOAD = delete(uploads).where(uploads.c.id == bindparam("this"))
_PART = upsert(parts)
_PUT_PART = _PART.on_conflict_do_update(  # a part that has grown begins where it began before
    index_elements=[parts.c.upload_id, parts.c.start],
    set_={name: _PART.excluded[name] for name in ("end", "crc", "at")},
)
_DELETE_PART = _delete_range(parts)
_ADD_LEASE, _DELETE_LEASE = insert(leases), _delete_range(leases)
_ADD_ASSESSMENT = insert(assessments)
_ADD_INSTALLATION = insert(installation)
_UPDATE_INSTALLATION = update(installation).values(storage=bindparam("storage"))
_INSTALLATION = select(installation)
_facts = attrgetter(*FACTS)


class UnitOfWork:
    """The work of one open transaction, in `session`.

    `known`: uploads as this transaction would read them (None: there is none), and `occupancy`,
    what they take; a backend passes only what it can prove that no other process has changed, or
    nothing. `earlier`: uploads as they were at some time. `versioned`: uploads whose version this
    transaction has changed already; it changes that of all others that it changes. None: the
    backend needs no versions. `is_full`: the disk has room only for changes that free some.
    `outbox`: makes the deliveries of each change, which are recorded with it; None: no webhooks.
    """

    def __init__(
        self,
        session: Session,
        known: Mapping[str, Upload | None] = MappingProxyType({}),
        earlier: Mapping[str, Upload] = MappingProxyType({}),
        occupancy: Occupancy | None = None,
        *,
        versioned: Collection[str] | None = None,
        is_full: bool = False,
        outbox: Outbox | None = None,
    ) -> None:
        self._session = session
        self._is_full = is_full
        self._outbox = outbox
        self._versioned = versioned
        self._known, self._earlier = known, earlier
        self._recorded: dict[str, Upload | None] = {}
        self._unreadable: dict[str, StorageFailed] = {}
        self._changed: dict[str, Upload] = {}
        self._new_assessments: dict[str, Assessment] = {}  # by upload
        self._new_deliveries: list[Delivery] = []
        #: What uploads take after the changes of this transaction; None: it was not asked for.
        self.occupancy = occupancy
        self.rows_written = 0
        self._uses = TicketUses(session)

    def check_takes_more(self) -> None:
        """Raises `DiskFull` while only changes that free space may be recorded."""
        if self._is_full:
            raise DiskFull

    def fetch(self, upload_ids: Iterable[str]) -> None:
        """Read these uploads together: one query instead of one for each."""
        unknown: set[str] = set()
        for id_ in upload_ids:
            if id_ in self._recorded or id_ in self._unreadable:
                continue
            if id_ in self._known:
                self._recorded[id_] = self._known[id_]
            else:
                unknown.add(id_)
        known_before = unknown & self._earlier.keys()
        if known_before and unknown != known_before:
            queries.lock_uploads(self._session, unknown)  # all of them, in one order
        for id_ in sorted(known_before):
            self._take({id_}, *refreshed(self._session, self._earlier[id_]))
            unknown.discard(id_)
        if unknown:
            self._take(unknown, *queries.read_uploads(self._session, unknown, locked=True))

    def _take(
        self, asked: set[str], found: dict[str, Upload], unreadable: dict[str, StorageFailed]
    ) -> None:
        self._unreadable |= unreadable
        self._recorded.update({id_: found.get(id_) for id_ in asked - unreadable.keys()})

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
        """Record `upload`, a new one or a changed one, and what that uses of its ticket.

        Raises as `Ticket.use` does for a new one, and then records nothing.
        """
        before = self.find(upload.id)
        if before is upload:
            return
        self._uses.note(before, upload)
        if self.occupancy is not None and not self.occupancy.change(before, upload):
            self.occupancy = None
        if self._outbox is not None:
            self._new_deliveries += self._outbox.of_upload(before, upload)
        self._changed[upload.id] = upload

    def same_upload(self, new: Upload) -> Upload | None:
        """The unfinished upload of the same file, as `Catalog.create` says; None: there is none."""
        self.flush()
        found = queries.same_upload(self._session, new)
        return None if found is None else self.upload(found)

    def queue(self, now: float, latest: float) -> Queue:
        """The queue, as `Catalog.queue` says.

        While nothing waits, it is read once, and then updated with each change.
        """
        if self.occupancy is not None and self.occupancy.is_true_at(now, latest):
            return Queue((), self.occupancy.taken())
        self.flush()
        found, self.occupancy = queries.queue(self._session, now, latest)
        return found

    def forget(self, upload_ids: Collection[str]) -> None:
        self.flush()
        queries.lock_uploads(self._session, upload_ids)
        self._write(_DELETE_UPLOAD, [{"this": id_} for id_ in upload_ids])
        self._recorded.update(dict.fromkeys(upload_ids))
        self.occupancy = None

    def assessment(self, assessment_id: str) -> Assessment:
        """Raises `NotThere`."""
        self.flush()
        found = queries.assessment_by_id(self._session, assessment_id, locked=True)
        if found is None:
            raise NotThere
        return found

    def leasable_assessment(self, now: float) -> Assessment | None:
        self.flush()
        while (found := queries.leasable_assessment(self._session, now)) is not None:
            # Another worker may have leased it since it was found.
            locked = queries.assessment_by_id(self._session, found.id, locked=True)
            if locked is not None and locked.is_leasable(now):
                return locked
        return None

    def leased_assessments(self, now: float) -> int:
        """How many assessments workers have leased."""
        self.flush()
        return queries.leased_assessments(self._session, now)

    def add_assessment(self, assessment: Assessment) -> None:
        """Add `assessment`, unless its upload has one."""
        upload_id = assessment.upload_id
        is_new = self._recorded.get(upload_id) is None
        if upload_id not in self._new_assessments and (
            is_new or not queries.has_assessment(self._session, upload_id)
        ):
            self._new_assessments[upload_id] = assessment

    def update_assessment(self, before: Assessment, after: Assessment) -> None:
        old, new = assessment_row(before), assessment_row(after)
        if names := _changed(old, new):
            self._write(_update_row(assessments, names), [_only(new, names)])
        if self._outbox is not None:
            # Without its lock, which others take before that of the assessment.
            self._new_deliveries += self._outbox.of_assessment(
                before,
                after,
                lambda: queries.uploads_by_id(self._session, [after.upload_id]).get(
                    after.upload_id
                ),
            )

    def delivery(self, delivery_id: str) -> Delivery:
        """Raises `NotThere`."""
        found, unreadable = deliveries.deliveries_by_id(self._session, [delivery_id], locked=True)
        for failure in unreadable.values():
            raise failure
        if delivery_id not in found:
            raise NotThere
        return found[delivery_id]

    def due_deliveries(self, url: str, now: float, most: int) -> list[Delivery]:
        self.flush()
        return deliveries.due(self._session, url, now, most, locked=True)

    def update_delivery(self, before: Delivery, after: Delivery) -> None:
        old, new = delivery_row(before), delivery_row(after)
        if names := _changed(old, new):
            self._write(_update_row(tables.deliveries, names), [_only(new, names)])

    def forget_deliveries(self, before: float, now: float) -> None:
        self._write(deliveries.FORGET, [{"before": before, "now": now}])

    def add_ticket(self, ticket: Ticket) -> None:
        self._write(tickets.ADD, [ticket_row(ticket)])

    def ticket(self, ticket_id: str) -> Ticket:
        """Raises `NotThere`."""
        self.write_uses()
        found = tickets.ticket_by_id(self._session, ticket_id, locked=True)
        if found is None:
            raise NotThere
        return found

    def update_ticket(self, before: Ticket, after: Ticket) -> None:
        old, new = ticket_row(before), ticket_row(after)
        if names := _changed(old, new):
            self._write(_update_row(tables.tickets, names), [_only(new, names)])

    def forget_tickets(self, ids: Collection[str], before: float) -> None:
        self._write(tickets.FORGET, [{"this": id_, "before": before} for id_ in ids])

    def rate(self, key: str, new: Used) -> Used:
        """What is used under this key; `new` is recorded where there is nothing."""
        while (found := rates.used(self._session, key)) is None:
            self._write(rates.ADD, [{"key": key, **rates.row(new)}])
        return found

    def put_rate(self, key: str, after: Used) -> None:
        self._write(rates.UPDATE, [{"this": key, **rates.row(after)}])

    def forget_rates(self, keys: Collection[str], now: float) -> None:
        self._write(rates.FORGET, [{"this": key, "now": now} for key in keys])

    def installation(self) -> Installation | None:
        """None in a catalog that has no identifier yet."""
        rows = self._session.rows(_INSTALLATION)
        return Installation(*rows[0]) if rows else None

    def put_installation(self, after: Installation, *, is_new: bool) -> None:
        statement = _ADD_INSTALLATION if is_new else _UPDATE_INSTALLATION
        self._write(statement, [{"catalog": after.catalog, "storage": after.storage}])

    def paths(self) -> Paths:
        return paths.all_paths(self._session)

    def put_paths(self, before: Paths, after: Paths) -> None:
        self._write(paths.DELETE, [{"this": host} for host in before.keys() - after.keys()])
        changed = (path for host, path in after.items() if before.get(host) != path)
        self._write(paths.PUT, [path_row(path) for path in changed])

    def flush(self) -> None:
        """Write what has changed so far, so that the next query finds it."""
        if self._new_deliveries:
            self._write(deliveries.ADD, [delivery_row(each) for each in self._new_deliveries])
            self._new_deliveries.clear()
        if not self._changed and not self._new_assessments:
            return
        added: list[Values] = []
        updated: dict[tuple[str, ...], list[Values]] = defaultdict(list)
        parts_deleted: list[Values] = []
        parts_put: list[Values] = []
        leases_deleted: list[Values] = []
        leases_added: list[Values] = []
        for id_, after in self._changed.items():
            before = self._recorded.get(id_)
            if before is None:
                added.append(upload_row(after))
            elif _facts(before) != _facts(after):
                row = upload_row(after)
                names = _changed(upload_row(before), row)
                updated[names].append(_only(row, names))
            received = before.received if before else PartSet()
            old_parts, new_parts = received.changes_to(after.received)
            starts = {part.start for part in old_parts} - {part.start for part in new_parts}
            parts_deleted += [{"this": id_, "starts": start} for start in starts]
            parts_put += [part_row(id_, part) for part in new_parts]
            old_leases, new_leases = _difference(before.leases if before else (), after.leases)
            leases_deleted += [{"this": id_, "starts": lease.range.start} for lease in old_leases]
            leases_added += [lease_row(id_, lease) for lease in new_leases]
        if self._versioned is not None:
            known = (id_ for id_ in self._changed if self._recorded.get(id_) is not None)
            if others := [id_ for id_ in known if id_ not in self._versioned]:
                queries.change_versions(self._session, others)
        self._write(_ADD_UPLOAD, added)
        for names, rows in updated.items():
            self._write(_update_row(uploads, names), rows)
        self._write(_DELETE_PART, parts_deleted)
        self._write(_PUT_PART, parts_put)
        self._write(_DELETE_LEASE, leases_deleted)
        self._write(_ADD_LEASE, leases_added)
        self._write(_ADD_ASSESSMENT, [assessment_row(a) for a in self._new_assessments.values()])
        self._recorded.update(self._changed)
        self._changed.clear()
        self._new_assessments.clear()

    def write_uses(self) -> None:
        """Write what was used of tickets so far. The last thing that a transaction does."""
        self.rows_written += self._uses.write()

    def recorded(self) -> dict[str, Upload | None]:
        """The uploads that were read or written, as they are recorded after the commit."""
        return self._recorded

    def _write(self, statement: Executable, rows: list[Values]) -> None:
        if rows:
            self._session.write(statement, rows)
            self.rows_written += len(rows)


def _difference(before: tuple[T, ...], after: tuple[T, ...]) -> tuple[list[T], list[T]]:
    """The items that are only in `before`, and those that are only in `after`, by identity."""
    if before is after:
        return [], []
    old, new = set(map(id, before)), set(map(id, after))
    gone = [item for item in before if id(item) not in new]
    return gone, [item for item in after if id(item) not in old]


def _changed(before: Values, after: Values) -> tuple[str, ...]:
    """The names of the columns whose values differ."""
    return tuple(name for name, value in after.items() if value != before[name])


def _only(row: Values, names: tuple[str, ...]) -> Values:
    return {"this": row["id"], **{name: row[name] for name in names}}
