"""Tickets for guests: an owner makes and revokes them, and a guest is let in by one.

Rule 1: a guest acts for the owner of the ticket. So limits, rates, the queue and hooks are those of
the owner, and no rule about owners has to know of guests.

Rule 2: whether a ticket is used up is decided in the transaction that records the new upload
(`Catalog.create`), so that processes that share the catalog cannot both take its last use.

Rule 3: a ticket cannot make tickets.

Rule 4: the settings are asked at each request. A ticket is of no use where what it is for is turned
off by now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wherry.core.errors import BadRequest, NotForGuests, NotThere, Unauthorized
from wherry.core.names import check_text
from wherry.core.pages import FIRST_PAGE, Page, PageRequest
from wherry.core.requests import Caller
from wherry.core.tickets import (
    LIFETIME,
    LONGEST_LIFETIME,
    MOST_UPLOADS,
    Presented,
    Ticket,
    TicketState,
)
from wherry.engine.context import Context
from wherry.events import Event


@dataclass(frozen=True, slots=True)
class NewTicket:
    """What an owner allows. `lifetime` in seconds, `max_size` in bytes."""

    uploads: int = 1
    max_size: int | None = None
    lifetime: float = LIFETIME
    note: str = ""

    def checked(self) -> NewTicket:
        """This, with its note in the form in which it is stored. Raises `BadRequest`."""
        if not 1 <= self.uploads <= MOST_UPLOADS:
            raise BadRequest("uploads", "must be at least 1, and not beyond all reason")
        if not 0 < self.lifetime <= LONGEST_LIFETIME:
            raise BadRequest("expires_in", "must be more than nothing, and a year at most")
        note = check_text(self.note, "note")
        return NewTicket(self.uploads, self.max_size, self.lifetime, note)


@dataclass(frozen=True, slots=True)
class NewLink:
    """What an owner shows of an upload. `lifetime` in seconds."""

    with_file: bool = False
    lifetime: float = LIFETIME
    note: str = ""


class Tickets:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def make(self, caller: Caller, wanted: NewTicket) -> tuple[Ticket, Presented]:
        """A new ticket of this owner, and what the guest gets. It cannot be read again later.

        Raises `BadRequest`, `NotForGuests`.
        """
        if caller.ticket is not None:
            raise NotForGuests
        wanted = wanted.checked()
        ticket, presented = self._new(caller, wanted)
        ticket = replace(ticket, max_size=wanted.max_size)
        await self._context.catalog.add_ticket(ticket)
        self._context.log_event(
            Event.TICKET_MADE, ticket_id=ticket.id, owner=ticket.owner, uploads=ticket.uploads
        )
        return ticket, presented

    async def share(
        self, caller: Caller, upload_id: str, wanted: NewLink
    ) -> tuple[Ticket, Presented]:
        """A new ticket that shows the report of this upload, and what its readers get.

        Raises `BadRequest`, `NotForGuests`, `UploadNotFound`, and `NotThere` where there is no
        report, or where the settings do not allow this.
        """
        if caller.ticket is not None:
            raise NotForGuests
        settings = self._context.settings
        if not settings.shared_reports or (wanted.with_file and not settings.shared_files):
            raise NotThere
        upload = await self._context.load(caller, upload_id)
        if upload.assessment_id is None:
            raise NotThere
        limits = NewTicket(lifetime=wanted.lifetime, note=wanted.note).checked()
        ticket, presented = self._new(caller, limits)
        # Of the owner of the upload: an operator may share it, too.
        ticket = replace(
            ticket, owner=upload.owner, uploads=0, shows=upload.id, with_file=wanted.with_file
        )
        await self._context.catalog.add_ticket(ticket)
        self._context.log_event(Event.REPORT_SHARED, upload, ticket_id=ticket.id)
        return ticket, presented

    def _new(self, caller: Caller, wanted: NewTicket) -> tuple[Ticket, Presented]:
        context = self._context
        presented, now = Presented(context.new_id(), context.new_id()), context.clock()
        ticket = Ticket(
            id=presented.id,
            owner=caller.owner,
            sha256=presented.sha256,
            created_at=now,
            expires_at=now + wanted.lifetime,
            uploads=wanted.uploads,
            note=wanted.note,
        )
        return ticket, presented

    async def of_owner(
        self, caller: Caller, page: PageRequest = FIRST_PAGE, *, everybody: bool = False
    ) -> Page[Ticket]:
        """The caller's tickets, or everybody's for an operator. Raises `NotForGuests`, `NotThere`.

        What is expired is left out when its record is deleted, `keep_records` later.
        """
        if caller.ticket is not None:
            raise NotForGuests
        if everybody and not caller.operator:
            raise NotThere
        return await self._context.catalog.tickets(None if everybody else caller.owner, page)

    async def revoke(self, caller: Caller, ticket_id: str) -> Ticket:
        """From now on, the ticket is of no use. Asked again, the same.

        Raises `NotForGuests`, and `NotThere` for an unknown or foreign one; an operator may revoke
        all.
        """
        if caller.ticket is not None:
            raise NotForGuests
        context, is_new = self._context, False

        def revoke(ticket: Ticket) -> Ticket:
            nonlocal is_new
            if ticket.owner != caller.owner and not caller.operator:
                raise NotThere
            is_new = ticket.revoked_at is None
            return ticket.revoke(context.clock())

        ticket = await context.catalog.update_ticket(ticket_id, revoke)
        if is_new:
            context.log_event(Event.TICKET_REVOKED, ticket_id=ticket.id, owner=ticket.owner)
        return ticket

    async def let_in(self, presented: Presented) -> Caller:
        """The guest who presents this ticket.

        Raises `Unauthorized`, `TicketRevoked`, and `TicketExpired` for one that shows a report. Not
        for another one that has expired or is used up: its uploads may be finished.
        """
        try:
            ticket = await self._context.catalog.ticket(presented.id)
        except NotThere:
            raise Unauthorized from None
        settings = self._context.settings
        if not (settings.guests if ticket.shows is None else settings.shared_reports):
            raise Unauthorized
        ticket.check(presented, self._context.clock())
        return Caller(ticket.owner, ticket=ticket)

    def check_reads_file(self, caller: Caller) -> None:
        """Raises `NotForGuests` for a guest whose ticket does not show the file."""
        if caller.ticket is None:
            return
        if not (caller.ticket.with_file and self._context.settings.shared_files):
            raise NotForGuests

    def state(self, ticket: Ticket) -> TicketState:
        return ticket.state(self._context.clock())
