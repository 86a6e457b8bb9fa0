"""What the tickets of guests look like to their owner."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from wherry.core.limits import LARGEST_SIZE
from wherry.core.names import LONGEST_TEXT
from wherry.core.pages import Page
from wherry.core.tickets import LIFETIME, LONGEST_LIFETIME, MOST_UPLOADS, Presented, Ticket
from wherry.engine import Engine
from wherry.engine.tickets import NewLink, NewTicket
from wherry.protocols.answers import render_time
from wherry.protocols.openapi import Id

#: Described, and not checked.
State = Annotated[
    str, Field(json_schema_extra={"enum": ["valid", "used-up", "expired", "revoked"]})
]


class TicketRequest(BaseModel):
    """What the owner allows. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(strict=True, extra="ignore")

    uploads: int = Field(
        1,
        ge=1,
        le=MOST_UPLOADS,
        description="How many files may come. One that is cancelled or fails does not count.",
    )
    max_size: int | None = Field(
        None, ge=0, le=LARGEST_SIZE, description="The largest file; null: the server's own limit."
    )
    expires_in: float = Field(
        LIFETIME, gt=0, le=LONGEST_LIFETIME, description="How long uploads may begin."
    )
    note: Annotated[str, StringConstraints(max_length=LONGEST_TEXT)] = Field(
        "", description="For the owner: whom it is for. Guests do not see it."
    )


class LinkRequest(BaseModel):
    """What the owner shows of an upload. Times in seconds."""

    model_config = ConfigDict(strict=True, extra="ignore")

    with_file: bool = Field(
        False, description="Whether the file is shown, too; only with the setting `shared_files`."
    )
    expires_in: float = Field(
        LIFETIME, gt=0, le=LONGEST_LIFETIME, description="How long it is shown."
    )
    note: Annotated[str, StringConstraints(max_length=LONGEST_TEXT)] = Field(
        "", description="For the owner: whom it is for. Readers do not see it."
    )


class TicketFacts(BaseModel):
    """A ticket, without what the guest has."""

    ticket_id: Id
    state: State
    uploads: int = Field(description="How many files may come.")
    used: int = Field(description="How many have come, or are on their way.")
    max_size: int | None
    note: str
    created_at: datetime
    expires_at: datetime = Field(
        description="Later, if the server is down meanwhile: time without a server does not count."
    )
    shows: str | None = Field(
        description="The upload whose report it shows; null for one that is for uploads."
    )
    with_file: bool = Field(description="Whether it shows the file of that upload, too.")


class NewTicketFacts(TicketFacts):
    """A ticket that was just made."""

    ticket: str = Field(
        description="For the guest, who sends it as `Authorization: Bearer`. It is shown once."
    )


class TicketPage(BaseModel):
    """A page of a list of tickets."""

    tickets: list[TicketFacts]
    next: str | None = Field(
        description="The value of `after` for the next page; null on the last page."
    )


def parse_ticket(wanted: TicketRequest) -> NewTicket:
    return NewTicket(wanted.uploads, wanted.max_size, wanted.expires_in, wanted.note)


def parse_link(wanted: LinkRequest) -> NewLink:
    return NewLink(wanted.with_file, wanted.expires_in, wanted.note)


def render_new(ticket: Ticket, presented: Presented, engine: Engine) -> NewTicketFacts:
    return NewTicketFacts.model_validate(_facts(ticket, engine) | {"ticket": str(presented)})


def render_page(page: Page[Ticket], engine: Engine) -> TicketPage:
    return TicketPage(
        tickets=[TicketFacts.model_validate(_facts(ticket, engine)) for ticket in page],
        next=None if page.next is None else str(page.next),
    )


def _facts(ticket: Ticket, engine: Engine) -> dict[str, object]:
    return {
        "ticket_id": ticket.id,
        "state": engine.tickets.state(ticket).value,
        "uploads": ticket.uploads,
        "used": ticket.used,
        "max_size": ticket.max_size,
        "note": ticket.note,
        "created_at": render_time(engine.date_of(ticket.created_at)),
        "expires_at": render_time(engine.date_of(ticket.expires_at)),
        "shows": ticket.shows,
        "with_file": ticket.with_file,
    }
