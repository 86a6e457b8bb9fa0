"""`wherry webhooks`: what was sent, what could not be sent, and sending it again."""

# No `from __future__ import annotations`: the options are read off the annotations.

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from wherry.cli.engines import OPERATOR, Json, with_engine
from wherry.cli.serving import DATA, Data

if TYPE_CHECKING:
    from wherry.core.webhooks import Delivery
    from wherry.engine import Engine

webhooks = typer.Typer(no_args_is_help=True, help="Webhooks: what was sent, and what was not.")


class Wanted(Enum):
    """The states of a delivery; `core` has what they mean."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    GONE = "gone"


@webhooks.command("list")
def list_webhooks(
    data: Data = DATA,
    state: Annotated[
        list[Wanted] | None, typer.Option(help="List only those in this state.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List webhooks, oldest first: what happened, where it is sent, and what came of it."""
    wanted = None if not state else [each.value for each in state]

    async def print_all(engine: "Engine") -> None:
        async for delivery in _every_delivery(engine, wanted):
            typer.echo(
                json.dumps(_as_dict(delivery, engine)) if as_json else _as_line(delivery, engine)
            )

    with_engine(data, print_all)


@webhooks.command()
def replay(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="As `list` shows it.")
    ] = None,
    data: Data = DATA,
    failed: Annotated[
        bool, typer.Option("--failed", help="Send all that were given up, those of 410 included.")
    ] = False,
) -> None:
    """Send webhooks again, from their first attempt on. A running server does so at once.

    An endpoint that has answered 410 gets webhooks again when that one is replayed.
    """

    async def send(engine: "Engine") -> int:
        from wherry.core.errors import NotThere  # noqa: PLC0415

        found = list(ids or ())
        if failed:
            found += [each.id async for each in _every_delivery(engine, ["failed", "gone"])]
        for delivery_id in found:
            try:
                await engine.replay(OPERATOR, delivery_id)
            except NotThere:
                raise ValueError(
                    f"there is no webhook {delivery_id}; `wherry webhooks list` shows all"
                ) from None
        return len(found)

    if not ids and not failed:
        raise typer.BadParameter("name at least one webhook, or give --failed")
    typer.echo(f"to be sent again: {with_engine(data, send)}")


async def _every_delivery(engine: "Engine", states: list[str] | None) -> AsyncIterator["Delivery"]:
    from wherry.core.pages import PageRequest  # noqa: PLC0415
    from wherry.core.webhooks import DeliveryState  # noqa: PLC0415

    wanted: list[DeliveryState] | None = None
    if states is not None:
        wanted = [DeliveryState(state) for state in states]
    page = await engine.deliveries(OPERATOR, wanted)
    while True:
        for delivery in page:
            yield delivery
        if page.next is None:
            return
        page = await engine.deliveries(OPERATOR, wanted, PageRequest(page.next))


def _as_dict(delivery: "Delivery", engine: "Engine") -> dict[str, object]:
    due = engine.date_of(delivery.due_at)  # of a new one: long ago
    is_pending = delivery.state.value == "pending"
    return {
        "id": delivery.id,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "type": delivery.type,
        "url": delivery.url,
        "date": _date(delivery.date),
        "next_attempt": _date(max(delivery.date, due)) if is_pending else None,
        "problem": delivery.problem,
        "data": json.loads(delivery.payload)["data"],
    }


def _as_line(delivery: "Delivery", engine: "Engine") -> str:
    facts = _as_dict(delivery, engine)
    words = f"{facts['id']} {facts['state']:9} {facts['attempts']:2} {facts['date']}"
    problem = f"  ({delivery.problem})" if delivery.problem else ""
    return f"{words} {delivery.type:19} {delivery.url}{problem}"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
