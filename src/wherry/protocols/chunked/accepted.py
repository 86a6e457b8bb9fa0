"""Which files the server accepts from the caller, for clients that check them before they send.

Rule 1: this is an announcement. The engine checks every file, whatever a client has checked.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from wherry.core.requests import Caller
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED, JsonAnswer, render_time


class TicketLeft(BaseModel):
    """What a guest's ticket still allows."""

    uploads: int = Field(description="How many more files may come.")
    expires_at: datetime = Field(
        description="Until when an upload may begin, or until when a report is shown."
    )
    shows: str | None = Field(
        description="The upload whose report it shows; null for one that is for uploads."
    )
    with_file: bool = Field(description="Whether it shows the file of that upload, too.")


class AcceptedFiles(BaseModel):
    max_size: int | None = Field(description="Bytes of the largest file; null is no limit.")
    allowed_types: list[str] = Field(
        description="Media types, like `video/*`; empty is any. The first bytes of a file decide."
    )
    receipts: bool = Field(description="Whether complete uploads have receipts.")
    guests: bool = Field(description="Whether the caller can make tickets for guests.")
    operator: bool = Field(
        description="Whether the caller's key is an operator's. A host application may have "
        "operators of whom this is not known."
    )
    shared_reports: bool = Field(
        description="Whether the caller can make links that show a report."
    )
    shared_files: bool = Field(description="Whether such a link may show the file, too.")
    ticket: TicketLeft | None = Field(description="Of a guest; null for others.")


async def accepted(request: Request, caller: Caller, engine: Engine) -> Response:
    return JsonAnswer(render_accepted(caller, engine), headers=NOT_STORED)


def render_accepted(caller: Caller, engine: Engine) -> AcceptedFiles:
    settings, ticket = engine.settings, caller.ticket
    can_share = settings.shared_reports and bool(settings.assessment) and ticket is None
    return AcceptedFiles(
        max_size=caller.max_size(settings.max_size),
        allowed_types=list(settings.allowed_types),
        receipts=bool(settings.receipt_key),
        guests=settings.guests and ticket is None,
        operator=caller.operator,
        shared_reports=can_share,
        shared_files=can_share and settings.shared_files,
        ticket=None
        if ticket is None
        else TicketLeft(
            uploads=max(ticket.uploads - ticket.used, 0),
            expires_at=render_time(engine.date_of(ticket.expires_at)),
            shows=ticket.shows,
            with_file=ticket.with_file and settings.shared_files,
        ),
    )
