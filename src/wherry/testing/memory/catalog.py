"""A catalog in memory, for tests. It keeps the whole contract, but ends with the process.

Rule 1: all records are one immutable value, which a change replaces. So a reader sees the records
either before a change or after it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import accumulate
from math import inf
from threading import Lock
from typing import TypeVar

from wherry.catalog import Change, Check, Choice
from wherry.catalog.counts import Counts, count, used_by
from wherry.core.admission import Queue
from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.errors import NotThere
from wherry.core.installation import Installation
from wherry.core.limits import Used
from wherry.core.pages import FIRST_PAGE, PAGE, PARTS_ON_PAGE, Cursor, Page, PageRequest
from wherry.core.paths import Paths
from wherry.core.ranges import PartSet, Range
from wherry.core.tickets import Ticket
from wherry.core.upload import ACCEPTS, UNFINISHED, State, Upload
from wherry.core.webhooks import Delivery, DeliveryState, Outbox
from wherry.testing.memory.records import Records, age

R = TypeVar("R", bound=Upload | Assessment | Delivery | Ticket)


def _resolved(call: Callable[[], Upload]) -> Future[Upload]:
    future: Future[Upload] = Future()
    try:
        future.set_result(call())
    except Exception as error:
        future.set_exception(error)
    return future


class MemoryCatalog:
    """A `Catalog` in one process."""

    def __init__(self) -> None:
        self._records = Records()
        self._changing = Lock()
        self._installation: Installation | None = None
        self._rates: dict[str, Used] = {}
        self._paths: Paths = {}

    async def create(self, upload: Upload) -> Upload:
        with self._changing:
            same = self._records.same_upload(upload)
            if same is not None:
                return same
            if upload.id in self._records.uploads:
                raise ValueError(f"there is an upload {upload.id}")
            self._records = self._records.with_upload(upload)
            return upload

    async def queue(self, now: float, latest: float = inf) -> Queue:
        return self._records.queue(now, latest)

    async def advance(
        self, now: float, choose: Choice, change: Change, latest: float = inf
    ) -> list[Upload]:
        with self._changing:
            records = self._records
            changed = [change(records.upload(id_)) for id_ in choose(records.queue(now, latest))]
            for upload in changed:
                records = records.with_upload(upload)
            self._records = records
            return changed

    async def load(self, upload_id: str) -> Upload:
        return self._records.upload(upload_id)

    async def update(
        self, upload_id: str, change: Change, assessment: Assessment | None = None
    ) -> Upload:
        return self._update(upload_id, change, assessment)

    def submit_create(
        self,
        upload: Upload,
        assessment: Assessment | None = None,
        check: Check | None = None,
        latest: float = inf,
    ) -> Future[Upload]:
        return _resolved(lambda: self._arrive(upload, assessment, check, latest))

    def submit_update(
        self, upload_id: str, change: Change, assessment: Assessment | None = None
    ) -> Future[Upload]:
        return _resolved(lambda: self._update(upload_id, change, assessment))

    def around(self, upload_id: str, within: Range) -> Upload:
        upload = self._records.upload(upload_id)
        received = PartSet(tuple(p for p in upload.received.parts if p.range.overlaps(within)))
        leases = tuple(lease for lease in upload.leases if lease.range.overlaps(within))
        return replace(upload, received=received, leases=leases)

    def tokens(self, upload_ids: Collection[str]) -> frozenset[str]:
        found = (self._records.uploads.get(upload_id) for upload_id in upload_ids)
        return frozenset(lease.token for upload in found if upload for lease in upload.leases)

    def _arrive(
        self,
        upload: Upload,
        assessment: Assessment | None,
        check: Check | None,
        latest: float,
    ) -> Upload:
        with self._changing:
            records = self._records
            if upload.id in records.uploads:
                return records.uploads[upload.id]
            same = records.same_upload(upload) if upload.state in ACCEPTS else None
            if same is not None:
                return same
            if check is not None:
                check(records.queue(upload.created_at, latest))
            records = records.with_upload(upload)
            if assessment is not None:
                records = records.with_assessment(assessment)
            self._records = records
            return upload

    def _update(self, upload_id: str, change: Change, assessment: Assessment | None) -> Upload:
        with self._changing:
            changed = change(self._records.upload(upload_id))
            records = self._records.with_upload(changed)
            has_one = any(a.upload_id == upload_id for a in records.assessments.values())
            if assessment is not None and not has_one:
                records = records.with_assessment(assessment)
            self._records = records
            return changed

    async def uploads(
        self,
        states: Collection[State] | None = None,
        owner: str | None = None,
        page: PageRequest = FIRST_PAGE,
    ) -> Page[Upload]:
        found = [
            upload
            for upload in self._records.uploads.values()
            if (states is None or upload.state in states) and owner in (None, upload.owner)
        ]
        return _page(found, age, page)

    async def alike(self, owner: str, fingerprint: str) -> list[Upload]:
        found = [
            upload
            for upload in self._records.uploads.values()
            if (upload.owner, upload.fingerprint) == (owner, fingerprint)
        ]
        return sorted(found, key=age, reverse=True)[:PAGE]

    async def ids(self, states: Collection[State]) -> frozenset[str]:
        return frozenset(u.id for u in self._records.uploads.values() if u.state in states)

    async def due(
        self, states: Collection[State], before: float, now: float, page: PageRequest = FIRST_PAGE
    ) -> Page[Upload]:
        found = [u for u in self._records.uploads.values() if u.state in states]
        found = [u for u in found if u.created_at <= before or u.created_at > now]
        return _page(found, age, page)

    async def due_files(self, before: float, page: PageRequest = FIRST_PAGE) -> Page[Upload]:
        records = self._records
        needed = {a.upload_id for a in records.assessments.values() if a.needs_file()}
        found = [
            upload
            for upload in records.uploads.values()
            if upload.is_complete()
            and upload.discarded_at is None
            and upload.created_at <= before
            and upload.id not in needed
        ]
        return _page(found, age, page)

    async def due_records(self, before: float, page: PageRequest = FIRST_PAGE) -> Page[Upload]:
        gone = [u for u in self._records.uploads.values() if u.discarded_at is not None]
        return _page([u for u in gone if _discarded(u).at <= before], _discarded, page)

    async def counts(self, now: float, latest: float = inf) -> Counts:
        records = self._records
        uploads, assessments = records.uploads.values(), records.assessments.values()
        return count(uploads, assessments, now, latest, records.deliveries.values())

    async def newest(self) -> float | None:
        uploads = self._records.uploads.values()
        unfinished = [u for u in uploads if u.state in UNFINISHED]
        times = [u.created_at for u in uploads]
        times += [ticket.created_at for ticket in self._records.tickets.values()]
        times += [u.discarded_at for u in uploads if u.discarded_at is not None]
        times += [max(u.began_at, u.queued_at or u.began_at) for u in unfinished]
        times += [part.at for u in unfinished for part in u.received.parts]
        times += [lease.at for u in unfinished for lease in u.leases]
        return max(times, default=None)

    async def used(self) -> int:
        return sum(used_by(upload) for upload in self._records.uploads.values())

    async def forget(self, upload_ids: Collection[str]) -> None:
        with self._changing:
            before = self._records
            assessed = before.assessments.items()
            self._records = replace(
                before,
                uploads={id_: u for id_, u in before.uploads.items() if id_ not in upload_ids},
                assessments={id_: a for id_, a in assessed if a.upload_id not in upload_ids},
            )

    async def load_assessment(self, assessment_id: str) -> Assessment:
        return self._records.assessment(assessment_id)

    async def update_assessment(
        self, assessment_id: str, change: Callable[[Assessment], Assessment]
    ) -> Assessment:
        with self._changing:
            changed = change(self._records.assessment(assessment_id))
            self._records = self._records.with_assessment(changed)
            return changed

    async def lease_assessment(
        self, now: float, change: Callable[[Assessment], Assessment], most: int | None = None
    ) -> Assessment | None:
        with self._changing:
            unfinished = [a for a in self._records.assessments.values() if not a.is_over]
            leasable = [a for a in unfinished if a.is_leasable(now)]
            is_full = most is not None and len(unfinished) - len(leasable) >= most
            if is_full or not leasable:
                return None
            leased = change(min(leasable, key=lambda a: a.order))
            self._records = self._records.with_assessment(leased)
            return leased

    async def leased_assessments(self, now: float) -> int:
        unfinished = [a for a in self._records.assessments.values() if not a.is_over]
        return sum(not a.is_leasable(now) for a in unfinished)

    async def assessments(
        self,
        page: PageRequest = FIRST_PAGE,
        states: Collection[AssessmentState] | None = None,
    ) -> Page[Assessment]:
        found = self._records.assessments.values()
        return _page([a for a in found if states is None or a.state in states], age, page)

    def announce_to(self, outbox: Outbox) -> None:
        with self._changing:
            self._records = replace(self._records, outbox=outbox)

    async def take_deliveries(
        self, url: str, now: float, most: int, change: Callable[[Delivery], Delivery]
    ) -> list[Delivery]:
        with self._changing:
            found = self._records.deliveries.values()
            due = [each for each in found if each.url == url and each.is_due(now)]
            due.sort(key=lambda each: (each.due_at, each.date, each.id))
            taken = [change(each) for each in due[:most]]
            self._records = self._records.with_deliveries(taken)
            return taken

    async def update_delivery(
        self, delivery_id: str, change: Callable[[Delivery], Delivery]
    ) -> Delivery:
        with self._changing:
            if delivery_id not in self._records.deliveries:
                raise NotThere
            changed = change(self._records.deliveries[delivery_id])
            self._records = self._records.with_deliveries([changed])
            return changed

    async def deliveries(
        self, states: Collection[DeliveryState] | None = None, page: PageRequest = FIRST_PAGE
    ) -> Page[Delivery]:
        found = self._records.deliveries.values()
        return _page([d for d in found if states is None or d.state in states], _date, page)

    async def gone_endpoints(self) -> frozenset[str]:
        found = self._records.deliveries.values()
        return frozenset(each.url for each in found if each.state is DeliveryState.GONE)

    async def forget_deliveries(self, before: float, now: float) -> None:
        def is_kept(each: Delivery) -> bool:
            return each.ended_at is None or before < each.ended_at <= now

        with self._changing:
            kept = {id_: d for id_, d in self._records.deliveries.items() if is_kept(d)}
            self._records = replace(self._records, deliveries=kept)

    async def update_rate(self, key: str, new: Used, change: Callable[[Used], Used]) -> Used:
        with self._changing:
            self._rates[key] = change(self._rates.get(key, new))
            return self._rates[key]

    async def forget_rates(self, now: float) -> None:
        with self._changing:
            self._rates = {key: u for key, u in self._rates.items() if u.expires_at > now}

    async def add_ticket(self, ticket: Ticket) -> None:
        with self._changing:
            self._records = self._records.with_ticket(ticket)

    async def ticket(self, ticket_id: str) -> Ticket:
        return self._records.ticket(ticket_id)

    async def update_ticket(self, ticket_id: str, change: Callable[[Ticket], Ticket]) -> Ticket:
        with self._changing:
            changed = change(self._records.ticket(ticket_id))
            self._records = self._records.with_ticket(changed)
            return changed

    async def tickets(
        self, owner: str | None = None, page: PageRequest = FIRST_PAGE
    ) -> Page[Ticket]:
        found = self._records.tickets.values()
        return _page([each for each in found if owner in (None, each.owner)], age, page)

    async def forget_tickets(self, before: float) -> None:
        with self._changing:
            kept = {id_: t for id_, t in self._records.tickets.items() if t.expires_at > before}
            self._records = replace(self._records, tickets=kept)

    async def paths(self) -> Paths:
        return self._paths

    async def update_paths(self, change: Callable[[Paths], Paths]) -> Paths:
        with self._changing:
            self._paths = dict(change(self._paths))
            return self._paths

    async def identify(
        self, new: str, storage: str | None = None, *, replace: bool = False
    ) -> Installation:
        with self._changing:
            known = self._installation or Installation(new, None)
            self._installation = known.join(storage, replace=replace)
            return self._installation

    async def close(self) -> None:
        """Nothing to close."""


def _date(delivery: Delivery) -> Cursor:
    return Cursor(delivery.date, delivery.id)


def _discarded(upload: Upload) -> Cursor:
    return Cursor(upload.discarded_at or 0.0, upload.id)


def _page(found: Iterable[R], cursor: Callable[[R], Cursor], page: PageRequest) -> Page[R]:
    def is_behind(here: Cursor, after: Cursor | None = page.after) -> bool:
        return after is None or (here < after if page.newest else here > after)

    following = [record for record in found if is_behind(cursor(record))]
    following.sort(key=cursor, reverse=page.newest)
    most = min(page.limit, _with_few_parts(following))
    next_ = cursor(following[most - 1]) if len(following) > most else None
    return Page(following[:most], next_)


def _with_few_parts(records: Sequence[Upload | Assessment | Delivery | Ticket]) -> int:
    """How many of them fit on a page together with all their parts; one at least."""
    counted = (len(r.received.parts) if isinstance(r, Upload) else 0 for r in records)
    return max(sum(count <= PARTS_ON_PAGE for count in accumulate(counted)), 1)
