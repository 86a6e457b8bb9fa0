"""All records of the catalog in memory, as one immutable value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from wherry.core.admission import Entry, OpenUpload, Queue, Taken
from wherry.core.assessment import Assessment
from wherry.core.errors import NotThere, TicketExpired, UploadNotFound
from wherry.core.pages import Cursor
from wherry.core.tickets import Ticket
from wherry.core.upload import ACCEPTS, HOLDS_SPACE, State, Upload
from wherry.core.webhooks import Delivery, Outbox


@dataclass(frozen=True, slots=True)
class Records:
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    assessments: Mapping[str, Assessment] = field(default_factory=dict)
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)
    tickets: Mapping[str, Ticket] = field(default_factory=dict)
    outbox: Outbox | None = None

    def upload(self, upload_id: str) -> Upload:
        if upload_id not in self.uploads:
            raise UploadNotFound(upload_id)
        return self.uploads[upload_id]

    def assessment(self, assessment_id: str) -> Assessment:
        if assessment_id not in self.assessments:
            raise NotThere
        return self.assessments[assessment_id]

    def with_upload(self, upload: Upload) -> Records:
        before = self.uploads.get(upload.id)
        new = self.outbox.of_upload(before, upload) if self.outbox else []
        records = replace(self, uploads={**self.uploads, upload.id: upload})
        return records.with_deliveries(new)._with_use(before, upload)

    def ticket(self, ticket_id: str) -> Ticket:
        if ticket_id not in self.tickets:
            raise NotThere
        return self.tickets[ticket_id]

    def with_ticket(self, ticket: Ticket) -> Records:
        return replace(self, tickets={**self.tickets, ticket.id: ticket})

    def _with_use(self, before: Upload | None, after: Upload) -> Records:
        used = after.uses_ticket() - (before is not None and before.uses_ticket())
        if used == 0 or after.ticket_id is None:
            return self
        ticket = self.tickets.get(after.ticket_id)
        if ticket is None:
            if used > 0:
                raise TicketExpired
            return self
        return self.with_ticket(ticket.use(after.created_at) if used > 0 else ticket.give_back())

    def with_assessment(self, assessment: Assessment) -> Records:
        before, upload = self.assessments.get(assessment.id), self.uploads.get(assessment.upload_id)
        new = []
        if self.outbox is not None and before is not None:
            new = self.outbox.of_assessment(before, assessment, lambda: upload)
        records = replace(self, assessments={**self.assessments, assessment.id: assessment})
        return records.with_deliveries(new)

    def with_deliveries(self, new: Iterable[Delivery]) -> Records:
        return replace(self, deliveries={**self.deliveries, **{each.id: each for each in new}})

    def queue(self, now: float, latest: float) -> Queue:
        entries = tuple(_entry_of(u) for u in self.uploads.values() if u.queued_at is not None)
        unused = tuple(u.id for u in self.uploads.values() if u.forfeit(now) is not u)
        opened = tuple(
            OpenUpload(u.owner, u.limit, u.began_at)
            for u in self.uploads.values()
            if u.is_open(now, latest)
        )
        taken = self._taken(now, latest)
        return Queue(entries, taken, unused, opened) if entries else Queue((), taken)

    def _taken(self, now: float, latest: float) -> dict[str, Taken]:
        taken: dict[str, Taken] = {}
        for upload in self.uploads.values():
            if upload.state in HOLDS_SPACE:
                before = taken.get(upload.owner, Taken())
                is_open = upload.is_open(now, latest)
                taken[upload.owner] = Taken(before.open + is_open, before.reserved + upload.limit)
        return taken

    def same_upload(self, new: Upload) -> Upload | None:
        def key(upload: Upload) -> tuple[object, ...]:
            length = upload.limit, upload.length
            return upload.owner, upload.fingerprint, length, upload.ticket_id

        if new.fingerprint is None:
            return None
        unfinished = (u for u in self.uploads.values() if u.state in ACCEPTS)
        same = [upload for upload in unfinished if key(upload) == key(new)]
        return min(same, key=age, default=None)


def _entry_of(upload: Upload) -> Entry:
    has_space, since = upload.state is not State.WAITING, upload.queued_at or 0.0
    return Entry(upload.id, upload.owner, since, 0 if has_space else upload.limit, has_space)


def age(record: Upload | Assessment | Ticket) -> Cursor:
    return Cursor(record.created_at, record.id)
