"""The verbs on tickets, for their owner."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from wherry.core.requests import Caller
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED, JsonAnswer
from wherry.protocols.guests.models import (
    LinkRequest,
    TicketRequest,
    parse_link,
    parse_ticket,
    render_new,
    render_page,
)
from wherry.protocols.parsing import parse_id, parse_page, read_model


async def make(request: Request, caller: Caller, engine: Engine) -> Response:
    wanted = await read_model(request, TicketRequest, engine.settings.chunk_timeout)
    ticket, presented = await engine.tickets.make(caller, parse_ticket(wanted))
    return JsonAnswer(render_new(ticket, presented, engine), 201, NOT_STORED)


async def share(request: Request, caller: Caller, engine: Engine) -> Response:
    upload_id = parse_id(request.path_params["upload_id"])
    wanted = await read_model(request, LinkRequest, engine.settings.chunk_timeout)
    ticket, presented = await engine.tickets.share(caller, upload_id, parse_link(wanted))
    return JsonAnswer(render_new(ticket, presented, engine), 201, NOT_STORED)


async def listing(request: Request, caller: Caller, engine: Engine) -> Response:
    page = await engine.tickets.of_owner(caller, parse_page(request.query_params))
    return JsonAnswer(render_page(page, engine), headers=NOT_STORED)


async def revoke(request: Request, caller: Caller, engine: Engine) -> Response:
    await engine.tickets.revoke(caller, parse_id(request.path_params["ticket_id"]))
    return Response(status_code=204)
