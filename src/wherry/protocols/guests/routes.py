"""The operations on tickets, for the router and for OpenAPI."""

from __future__ import annotations

from wherry.core import errors
from wherry.protocols.guests import models, verbs
from wherry.protocols.openapi import json_body, page_parameters
from wherry.protocols.operation import Operation
from wherry.settings import Settings

#: The uploads of guests.
MAKE = (
    Operation(
        "POST",
        "/guests",
        "make_ticket",
        verbs.make,
        "Make a ticket, by which a guest uploads without a login",
        {201: ("The ticket, once.", models.NewTicketFacts)},
        (errors.BadRequest, errors.TooLarge, errors.DiskFull, errors.BodyStalled),
        body=json_body(models.TicketRequest),
    ),
)
SHARE = (
    Operation(
        "POST",
        "/{upload_id}/links",
        "share_report",
        verbs.share,
        "Make a ticket that shows the report of an upload to whoever has it",
        {201: ("The ticket, once.", models.NewTicketFacts)},
        (
            errors.BadRequest,
            errors.UploadNotFound,
            errors.NotThere,
            errors.DiskFull,
            errors.BodyStalled,
        ),
        body=json_body(models.LinkRequest),
    ),
)
LIST = (
    Operation(
        "GET",
        "/guests",
        "tickets",
        verbs.listing,
        "The caller's own tickets",
        {200: ("A page of the list.", models.TicketPage)},
        (errors.BadRequest,),
        parameters=page_parameters("tickets"),
    ),
    Operation(
        "DELETE",
        "/guests/{ticket_id}",
        "revoke_ticket",
        verbs.revoke,
        "Revoke a ticket: from now on, it is of no use",
        {204: ("Revoked, now or before.", None)},
        (errors.UploadNotFound, errors.NotThere),
    ),
)


def operations(settings: Settings) -> tuple[Operation, ...]:
    """Those that these settings allow."""
    make = MAKE if settings.guests else ()
    share = SHARE if settings.shared_reports else ()
    return (*make, *share, *LIST) if make or share else ()
