"""The catalog's port in terms of queries and operations; a backend runs them.

Rule 1: a change is always an operation, a read is always a query. Neither knows on which
thread or connection it runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from concurrent.futures import Future
from math import inf
from typing import TypeVar

from wherry.catalog import Change, Check, Choice
from wherry.catalog.awaiting import until_done
from wherry.catalog.counts import Counts
from wherry.catalog.sql import counts, deliveries, lists, paths, queries, rates, tickets
from wherry.catalog.sql.operations import (
    Advance,
    Arrive,
    Create,
    Forget,
    ForgetDeliveries,
    ForgetRates,
    Identify,
    LeaseAssessment,
    Operation,
    TakeDeliveries,
    Update,
    UpdateAssessment,
    UpdateDelivery,
    UpdatePaths,
    UpdateRate,
)
from wherry.catalog.sql.session import Session
from wherry.catalog.sql.ticket_operations import AddTicket, ForgetTickets, UpdateTicket
from wherry.core.admission import Queue
from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.errors import NotThere, UploadNotFound
from wherry.core.installation import Installation
from wherry.core.limits import Used
from wherry.core.pages import FIRST_PAGE, Page, PageRequest
from wherry.core.paths import Paths
from wherry.core.ranges import Range
from wherry.core.tickets import Ticket
from wherry.core.upload import State, Upload
from wherry.core.webhooks import Delivery, DeliveryState, Outbox

T = TypeVar("T")


class SqlCatalog(ABC):
    """A `Catalog` for coroutines on any asyncio loop, and for threads (`*_blocking`).

    In addition to what each method says, every method raises `StorageFailed` when the disk or
    the database fails, and every change raises `DiskFull`.
    """

    # What a backend brings.

    @abstractmethod
    def announce_to(self, outbox: Outbox) -> None:
        """As `Catalog.announce_to`."""

    @abstractmethod
    def _submit(self, operation: Operation[T]) -> Future[T]:
        """Apply `operation` in a transaction. Callable from any thread, and does not block.

        The future has the result once it is committed, or what the operation raised.
        """

    @abstractmethod
    async def _read(self, query: Callable[[Session], T]) -> T:
        """Run a short query, which a request waits for, in a transaction of its own.

        It waits neither for changes nor for lists.
        """

    @abstractmethod
    def _read_blocking(self, query: Callable[[Session], T]) -> T:
        """The same, for a thread."""

    @abstractmethod
    async def _read_list(self, query: Callable[[Session], T]) -> T:
        """Run a query for a page of a list. Few run at once; the others wait their turn."""

    @abstractmethod
    async def close(self) -> None:
        """Finish the changes that were submitted, then close. Has no effect the second time."""

    # What follows from that.

    async def create(self, upload: Upload) -> Upload:
        return await self._change(Create(upload))

    async def queue(self, now: float, latest: float = inf) -> Queue:
        return await self._read(lambda s: queries.queue(s, now, latest)[0])

    async def advance(
        self, now: float, choose: Choice, change: Change, latest: float = inf
    ) -> list[Upload]:
        return await self._change(Advance(now, choose, change, latest))

    async def load(self, upload_id: str) -> Upload:
        found, unreadable = await self._read(lambda s: queries.read_uploads(s, [upload_id]))
        if upload_id not in found:
            raise unreadable.get(upload_id) or UploadNotFound(upload_id)
        return found[upload_id]

    async def update(
        self, upload_id: str, change: Change, assessment: Assessment | None = None
    ) -> Upload:
        return await self._change(Update(upload_id, change, assessment))

    def submit_create(
        self,
        upload: Upload,
        assessment: Assessment | None = None,
        check: Check | None = None,
        latest: float = inf,
    ) -> Future[Upload]:
        return self._submit(Arrive(upload, assessment, check, latest))

    def submit_update(
        self, upload_id: str, change: Change, assessment: Assessment | None = None
    ) -> Future[Upload]:
        return self._submit(Update(upload_id, change, assessment))

    def around(self, upload_id: str, within: Range) -> Upload:
        found = self._read_blocking(lambda s: queries.around(s, upload_id, within))
        if found is None:
            raise UploadNotFound(upload_id)
        return found

    def tokens(self, upload_ids: Collection[str]) -> frozenset[str]:
        return self._read_blocking(lambda s: queries.tokens(s, upload_ids))

    async def uploads(
        self,
        states: Collection[State] | None = None,
        owner: str | None = None,
        page: PageRequest = FIRST_PAGE,
    ) -> Page[Upload]:
        return await self._read_list(lambda s: lists.uploads_page(s, states, owner, page))

    async def alike(self, owner: str, fingerprint: str) -> list[Upload]:
        return await self._read_list(lambda s: lists.alike(s, owner, fingerprint))

    async def ids(self, states: Collection[State]) -> frozenset[str]:
        return await self._read_list(lambda s: lists.ids(s, states))

    async def due(
        self, states: Collection[State], before: float, now: float, page: PageRequest = FIRST_PAGE
    ) -> Page[Upload]:
        return await self._read_list(lambda s: lists.due(s, states, before, now, page))

    async def due_files(self, before: float, page: PageRequest = FIRST_PAGE) -> Page[Upload]:
        return await self._read_list(lambda s: lists.due_files(s, before, page))

    async def due_records(self, before: float, page: PageRequest = FIRST_PAGE) -> Page[Upload]:
        return await self._read_list(lambda s: lists.due_records(s, before, page))

    async def counts(self, now: float, latest: float = inf) -> Counts:
        return await self._read(lambda s: counts.counts(s, now, latest))

    async def newest(self) -> float | None:
        return await self._read(queries.newest)

    async def used(self) -> int:
        return await self._read(counts.used)

    async def forget(self, upload_ids: Collection[str]) -> None:
        await self._change(Forget(tuple(upload_ids)))

    async def load_assessment(self, assessment_id: str) -> Assessment:
        found = await self._read(lambda s: queries.assessment_by_id(s, assessment_id))
        if found is None:
            raise NotThere
        return found

    async def update_assessment(
        self, assessment_id: str, change: Callable[[Assessment], Assessment]
    ) -> Assessment:
        return await self._change(UpdateAssessment(assessment_id, change))

    async def lease_assessment(
        self, now: float, change: Callable[[Assessment], Assessment], most: int | None = None
    ) -> Assessment | None:
        # Every worker asks twice a second, and there is nearly always nothing to do: a read
        # finds that out without a transaction that writes.
        if await self._read(lambda s: queries.leasable_assessment(s, now)) is None:
            return None
        return await self._change(LeaseAssessment(now, change, most))

    async def leased_assessments(self, now: float) -> int:
        return await self._read(lambda s: queries.leased_assessments(s, now))

    async def assessments(
        self,
        page: PageRequest = FIRST_PAGE,
        states: Collection[AssessmentState] | None = None,
    ) -> Page[Assessment]:
        return await self._read_list(lambda s: lists.assessments_page(s, page, states))

    async def take_deliveries(
        self, url: str, now: float, most: int, change: Callable[[Delivery], Delivery]
    ) -> list[Delivery]:
        # Asked every second, and there is nearly always nothing to do.
        if not await self._read(lambda s: deliveries.due(s, url, now, 1)):
            return []
        return await self._change(TakeDeliveries(url, now, most, change))

    async def update_delivery(
        self, delivery_id: str, change: Callable[[Delivery], Delivery]
    ) -> Delivery:
        return await self._change(UpdateDelivery(delivery_id, change))

    async def deliveries(
        self, states: Collection[DeliveryState] | None = None, page: PageRequest = FIRST_PAGE
    ) -> Page[Delivery]:
        return await self._read_list(lambda s: lists.deliveries_page(s, states, page))

    async def gone_endpoints(self) -> frozenset[str]:
        return await self._read(deliveries.gone)

    async def forget_deliveries(self, before: float, now: float) -> None:
        if await self._read(lambda s: deliveries.is_any_old(s, before, now)):
            await self._change(ForgetDeliveries(before, now))

    async def update_rate(self, key: str, new: Used, change: Callable[[Used], Used]) -> Used:
        return await self._change(UpdateRate(key, new, change))

    async def forget_rates(self, now: float) -> None:
        while keys := await self._read(lambda s: rates.expired(s, now)):
            await self._change(ForgetRates(keys, now))

    async def add_ticket(self, ticket: Ticket) -> None:
        await self._change(AddTicket(ticket))

    async def ticket(self, ticket_id: str) -> Ticket:
        found = await self._read(lambda s: tickets.ticket_by_id(s, ticket_id))
        if found is None:
            raise NotThere
        return found

    async def update_ticket(self, ticket_id: str, change: Callable[[Ticket], Ticket]) -> Ticket:
        return await self._change(UpdateTicket(ticket_id, change))

    async def tickets(
        self, owner: str | None = None, page: PageRequest = FIRST_PAGE
    ) -> Page[Ticket]:
        return await self._read_list(lambda s: lists.tickets_page(s, owner, page))

    async def forget_tickets(self, before: float) -> None:
        while ids := await self._read(lambda s: tickets.expired(s, before)):
            await self._change(ForgetTickets(ids, before))

    async def paths(self) -> Paths:
        return await self._read(paths.all_paths)

    async def update_paths(self, change: Callable[[Paths], Paths]) -> Paths:
        return await self._change(UpdatePaths(change))

    async def identify(
        self, new: str, storage: str | None = None, *, replace: bool = False
    ) -> Installation:
        return await self._change(Identify(new, storage, replace))

    async def _change(self, operation: Operation[T]) -> T:
        return await until_done(self._submit(operation))
