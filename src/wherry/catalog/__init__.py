"""The catalog keeps the records: uploads with their parts, assessments, webhooks to send, and
what passes on the way to each public host.

This is the port. `wherry.catalog.sqlite` implements it, and `wherry.testing.memory` does for
tests; `wherry.testing.catalog` checks an implementation.

Rule 1: a change is a pure function of `core`, applied in one transaction to what is recorded
at that moment. When it raises, nothing has changed.

Rule 2: once a method has returned, its change survives power loss.

Rule 3: reads never wait for a writer, and reads of one upload never wait for a list. Lists
come in pages, and the time for a page does not depend on the number of records.

Rule 4: importing the port loads no database library.

Rule 5: a record that cannot be read is left out where many are read. A method that reads this
one record raises `StorageFailed`; the record is never taken for absent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future
from math import inf
from typing import Protocol

from wherry.catalog.counts import Counts
from wherry.core.admission import Queue
from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.installation import Installation
from wherry.core.limits import Used
from wherry.core.pages import FIRST_PAGE, Page, PageRequest
from wherry.core.paths import Paths
from wherry.core.ranges import Range
from wherry.core.tickets import Ticket
from wherry.core.upload import State, Upload
from wherry.core.webhooks import Delivery, DeliveryState, Outbox

Change = Callable[[Upload], Upload]
Choice = Callable[[Queue], Collection[str]]
Check = Callable[[Queue], None]


class Catalog(Protocol):
    async def create(self, upload: Upload) -> Upload:
        """Record a new upload, and use its ticket, if it has one, in the same transaction.

        If the owner already has an upload in state `waiting` or `receiving` with the same
        fingerprint (not None), limit, length and ticket, that one is returned instead, and nothing
        is used. Raises as `Ticket.use` does at `created_at`, `TicketExpired` also for a ticket that
        was forgotten. A change by which an upload ends without a file gives the use back.
        """

    async def queue(self, now: float, latest: float = inf) -> Queue:
        """The queue, and what is taken at `now`: slots that end later, and reserved bytes.

        A slot that ends after `latest` is over, as `Upload.is_open` says.
        """

    async def advance(
        self, now: float, choose: Choice, change: Change, latest: float = inf
    ) -> list[Upload]:
        """Let `choose` name uploads of the queue, and apply `change` to them; one transaction.

        Returns the changed uploads. Raises `UploadNotFound`, and what `choose` and `change`
        raise.
        """

    async def load(self, upload_id: str) -> Upload:
        """The upload with this identifier. Raises `UploadNotFound`."""

    async def update(
        self, upload_id: str, change: Change, assessment: Assessment | None = None
    ) -> Upload:
        """Apply `change`, record its result, and return it.

        `assessment` is added in the same transaction, unless the upload already has one.
        Raises `UploadNotFound`, and what `change` raises.
        """

    # For threads, which must not depend on an event loop. Both futures are resolved when the
    # change is safe, on a thread of the catalog: what waits for them there must not block.

    def submit_create(
        self,
        upload: Upload,
        assessment: Assessment | None = None,
        check: Check | None = None,
        latest: float = inf,
    ) -> Future[Upload]:
        """The same as `create`, with an assessment of it in the same transaction.

        `check` gets the queue as it is at `upload.created_at`; if it raises, nothing is recorded.
        An upload with this identifier that exists already is returned as it is. A complete
        `upload` is recorded also while another one of the same file is unfinished.
        """

    def submit_update(
        self, upload_id: str, change: Change, assessment: Assessment | None = None
    ) -> Future[Upload]:
        """The same as `update`."""

    def around(self, upload_id: str, within: Range) -> Upload:
        """The upload with only those parts and leases that have bytes of `within`. Blocks.

        Its time does not depend on how many parts the upload has. Raises `UploadNotFound`.
        """

    def tokens(self, upload_ids: Collection[str]) -> frozenset[str]:
        """The tokens of all leases of these uploads. Blocks."""

    async def uploads(
        self,
        states: Collection[State] | None = None,
        owner: str | None = None,
        page: PageRequest = FIRST_PAGE,
    ) -> Page[Upload]:
        """A page of the uploads in these states of this owner; None: of all of them."""

    async def alike(self, owner: str, fingerprint: str) -> list[Upload]:
        """The owner's uploads with this fingerprint, newest first, at most `PAGE`."""

    async def ids(self, states: Collection[State]) -> frozenset[str]:
        """The identifiers of all uploads in these states. Not in pages: they should be few."""

    async def due(
        self, states: Collection[State], before: float, now: float, page: PageRequest = FIRST_PAGE
    ) -> Page[Upload]:
        """Uploads in these states that were created at `before` or earlier.

        Also those that seem to be created after `now`, because the clock was set back.
        """

    async def due_files(self, before: float, page: PageRequest = FIRST_PAGE) -> Page[Upload]:
        """Complete uploads created at `before` or earlier whose file is kept.

        Uploads whose assessment still needs the file are left out.
        """

    async def due_records(self, before: float, page: PageRequest = FIRST_PAGE) -> Page[Upload]:
        """Uploads whose file was discarded at `before` or earlier, ordered by that moment."""

    async def counts(self, now: float, latest: float = inf) -> Counts:
        """How many unfinished records there are at `now`; finished ones are never read."""

    async def newest(self) -> float | None:
        """The latest moment in any record, by the deadline clock; None: there is no record.

        For all uploads: their creation, and the discarding of their files. For unfinished ones
        also: when they were admitted or queued, and the times of parts and leases. For tickets:
        their creation.
        """

    async def used(self) -> int:
        """Bytes of all files that are kept: finished ones, and what arrived of unfinished ones."""

    async def forget(self, upload_ids: Collection[str]) -> None:
        """Delete these records, with their parts and assessments."""

    async def load_assessment(self, assessment_id: str) -> Assessment:
        """The assessment with this identifier. Raises `NotThere`."""

    async def update_assessment(
        self, assessment_id: str, change: Callable[[Assessment], Assessment]
    ) -> Assessment:
        """Apply `change`, record its result, and return it.

        Raises `NotThere`, and what `change` raises.
        """

    async def lease_assessment(
        self, now: float, change: Callable[[Assessment], Assessment], most: int | None = None
    ) -> Assessment | None:
        """Apply `change` to the first that can be leased at `now`; None if there is none.

        The first is the one of the highest priority, and of several the oldest. Also None if
        `most` or more are leased at `now`.
        """

    async def leased_assessments(self, now: float) -> int:
        """How many assessments workers have leased at `now`."""

    async def assessments(
        self,
        page: PageRequest = FIRST_PAGE,
        states: Collection[AssessmentState] | None = None,
    ) -> Page[Assessment]:
        """A page of the assessments in these states, by their age; None: in every state."""

    # Deliveries of webhooks.

    def announce_to(self, outbox: Outbox) -> None:
        """From now on, record the deliveries that `outbox` makes of each change.

        They are recorded in the transaction of the change. Without this, there are none.
        """

    async def take_deliveries(
        self, url: str, now: float, most: int, change: Callable[[Delivery], Delivery]
    ) -> list[Delivery]:
        """Apply `change` to the first `most` deliveries of this endpoint that are due at `now`."""

    async def update_delivery(
        self, delivery_id: str, change: Callable[[Delivery], Delivery]
    ) -> Delivery:
        """Apply `change`, record its result, and return it.

        Raises `NotThere`, and what `change` raises.
        """

    async def deliveries(
        self, states: Collection[DeliveryState] | None = None, page: PageRequest = FIRST_PAGE
    ) -> Page[Delivery]:
        """A page of the deliveries in these states, by their dates; None: in every state."""

    async def gone_endpoints(self) -> frozenset[str]:
        """The endpoints that have a delivery in state `gone`."""

    async def forget_deliveries(self, before: float, now: float) -> None:
        """Delete the deliveries that ended at `before` or earlier.

        Also those that seem to have ended after `now`, because the clock was set back.
        """

    # Rates.

    async def update_rate(self, key: str, new: Used, change: Callable[[Used], Used]) -> Used:
        """Apply `change` to what is used under this key, record its result, and return it.

        `new`: where nothing is recorded, `change` gets this.
        """

    async def forget_rates(self, now: float) -> None:
        """Delete what does not count any more at `now`, a few in each transaction."""

    # Tickets of guests.

    async def add_ticket(self, ticket: Ticket) -> None:
        """Record a new one."""

    async def ticket(self, ticket_id: str) -> Ticket:
        """The ticket with this identifier. Raises `NotThere`."""

    async def update_ticket(self, ticket_id: str, change: Callable[[Ticket], Ticket]) -> Ticket:
        """Apply `change`, record its result, and return it.

        Raises `NotThere`, and what `change` raises.
        """

    async def tickets(
        self, owner: str | None = None, page: PageRequest = FIRST_PAGE
    ) -> Page[Ticket]:
        """A page of the tickets of this owner, by their age; None: of every owner."""

    async def forget_tickets(self, before: float) -> None:
        """Delete those that expired at `before` or earlier, a few in each transaction."""

    # Paths: what passes on the way to a public host.

    async def paths(self) -> Paths:
        """All of them, by their hosts. There are at most `core.paths.MOST_HOSTS`."""

    async def update_paths(self, change: Callable[[Paths], Paths]) -> Paths:
        """Apply `change` to all of them, record its result, and return it."""

    # The installation.

    async def identify(
        self, new: str, storage: str | None = None, *, replace: bool = False
    ) -> Installation:
        """Record that this catalog belongs to `storage`, unless it belongs to one already.

        `new`: the catalog's identifier from now on, if it has none. `replace`: it belongs to
        `storage` from now on. Returns what is recorded.
        """

    async def close(self) -> None:
        """Finish what was begun, and close the files."""
