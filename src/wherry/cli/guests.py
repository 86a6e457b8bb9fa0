"""`wherry guests`: tickets, by which people without a login upload into an owner's space."""

# No `from __future__ import annotations`: the options are read off the annotations.

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from wherry.cli.engines import OPERATOR, Json, with_engine
from wherry.cli.failing import failing
from wherry.cli.serving import DATA, Data
from wherry.cli.sizes import size
from wherry.core.limits import parse_size
from wherry.core.requests import Caller
from wherry.core.tickets import LIFETIME

if TYPE_CHECKING:
    from pathlib import Path

    from wherry.core.tickets import Ticket
    from wherry.engine import Engine

guests = typer.Typer(
    no_args_is_help=True, help="Tickets, by which guests upload without a key or a login."
)

#: How a new ticket is used.
USE = (
    "Keep it now: only its hash is stored. The guest sends it as Authorization: Bearer TICKET. "
    "Servers take it while their setting `guests` is on."
)


@guests.command("new")
def new_ticket(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="Whose space the files are for.")],
    *,
    data: Data = DATA,
    uploads: Annotated[
        int, typer.Option(min=1, metavar="NUMBER", help="How many files may come.")
    ] = 1,
    max_size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="The largest file, like 2GiB (default: the server's)."),
    ] = None,
    expires_in: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long uploads may begin.")
    ] = LIFETIME,
    note: Annotated[str, typer.Option(metavar="TEXT", help="For you: whom it is for.")] = "",
    as_json: Json = False,
) -> None:
    """Make a ticket for a guest of OWNER and print it, once.

    OWNER is the name of an API key, or what your application's own login calls the user.
    """

    async def make(engine: "Engine") -> tuple["Ticket", str, dict[str, object]]:
        from wherry.engine.tickets import NewTicket  # noqa: PLC0415

        wanted = NewTicket(uploads, largest, expires_in, note)
        ticket, presented = await engine.tickets.make(Caller(owner), wanted)
        return ticket, str(presented), _as_dict(ticket, engine)

    with failing():
        largest = None if max_size is None else parse_size(max_size)
        _check_owner(owner, data)
    ticket, text, facts = with_engine(data, make)
    if as_json:
        typer.echo(json.dumps(facts | {"ticket": text}))
        return
    typer.echo(text)
    typer.echo(USE, err=True)
    typer.echo(
        f"It ends on {facts['expires_at']}, or with: wherry guests revoke {ticket.id}", err=True
    )


@guests.command("list")
def list_tickets(data: Data = DATA, as_json: Json = False) -> None:
    """List the tickets of all owners, oldest first, without the tickets themselves."""

    async def print_all(engine: "Engine") -> None:
        async for ticket in _every_ticket(engine):
            facts = _as_dict(ticket, engine)
            typer.echo(json.dumps(facts) if as_json else _as_line(ticket, facts))

    with_engine(data, print_all)


@guests.command()
def revoke(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="As `list` shows it.")
    ] = None,
    data: Data = DATA,
    owner: Annotated[
        str | None, typer.Option(metavar="OWNER", help="Revoke all tickets of this owner.")
    ] = None,
) -> None:
    """Revoke tickets: every request with one of them is refused from now on.

    Uploads that are complete stay. Unfinished ones stay until they expire; their owner can complete
    or cancel them.
    """

    async def revoke_all(engine: "Engine") -> int:
        from wherry.core.errors import NotThere  # noqa: PLC0415

        found = list(ids or ())
        if owner is not None:
            found += [each.id async for each in _every_ticket(engine) if each.owner == owner]
        for ticket_id in found:
            try:
                await engine.tickets.revoke(OPERATOR, ticket_id)
            except NotThere:
                raise ValueError(
                    f"there is no ticket {ticket_id}; `wherry guests list` shows all"
                ) from None
        return len(found)

    if not ids and owner is None:
        raise typer.BadParameter("name at least one ticket by its id, or give --owner")
    typer.echo(f"revoked {with_engine(data, revoke_all)}")


def _check_owner(owner: str, data: "Path") -> None:
    """Raises `ValueError` where owners are the names of API keys, and this is none of them."""
    from wherry.auth import Keys, keys_file  # noqa: PLC0415

    keys = Keys(keys_file(data))
    if keys.has_file() and owner not in {key.owner for key in keys.all()}:
        raise ValueError(f"{owner} has no key; `wherry keys list` shows who has one")


async def _every_ticket(engine: "Engine") -> AsyncIterator["Ticket"]:
    from wherry.core.pages import PageRequest  # noqa: PLC0415

    page = await engine.tickets.of_owner(OPERATOR, everybody=True)
    while True:
        for ticket in page:
            yield ticket
        if page.next is None:
            return
        page = await engine.tickets.of_owner(OPERATOR, PageRequest(page.next), everybody=True)


def _as_dict(ticket: "Ticket", engine: "Engine") -> dict[str, object]:
    facts = asdict(ticket)
    del facts["sha256"], facts["revoked_at"]
    return {
        "ticket_id": facts.pop("id"),
        "state": engine.tickets.state(ticket).value,
        **facts,
        "created_at": _date(engine.date_of(ticket.created_at)),
        "expires_at": _date(engine.date_of(ticket.expires_at)),
    }


def _as_line(ticket: "Ticket", facts: dict[str, object]) -> str:
    most = "" if ticket.max_size is None else f"  up to {size(ticket.max_size)} each"
    uses = "a report" if ticket.shows else f"{ticket.used} of {ticket.uploads}"
    words = f"{ticket.id} {facts['state']:8} {uses:9} until {facts['expires_at']}  {ticket.owner}"
    return f"{words}{most}{f'  ({ticket.note})' if ticket.note else ''}"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
