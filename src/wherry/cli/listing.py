"""`wherry uploads`: the uploads in the records of a data folder, or as a server lists them.

Rule 1: both give the same objects, those of the API, one after the other, however many there are.
"""

# No `from __future__ import annotations`: the options are read off the annotations.

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from wherry.cli.engines import OPERATOR, Json, with_engine
from wherry.cli.serving import DATA, Data
from wherry.cli.sizes import size
from wherry.cli.upload import Ca, Insecure, Key, OptionalUrl
from wherry.core.states import State

if TYPE_CHECKING:
    from wherry.client import Client
    from wherry.engine import Engine

STATES = tuple(state.value for state in State)
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """`states`: empty for all of them. `most`: None for all uploads."""

    states: tuple[str, ...]
    newest: bool
    most: int | None

    def page_size(self, found: int) -> int:
        """How many to ask for when so many were `found`; 0: no more."""
        from wherry.core.pages import LARGEST_PAGE  # noqa: PLC0415 - not for `wherry upload`

        return LARGEST_PAGE if self.most is None else min(self.most - found, LARGEST_PAGE)


def register(app: typer.Typer) -> None:
    app.command()(uploads)


def parse_states(text: str) -> tuple[str, ...]:
    """Raises `BadParameter`."""
    states = tuple(filter(None, text.replace(" ", "").split(",")))
    if unknown := [state for state in states if state not in STATES]:
        raise typer.BadParameter(f"{unknown[0]!r} is no state; there are {', '.join(STATES)}")
    return states


def uploads(
    url: OptionalUrl = None,
    *,
    data: Data = DATA,
    state: Annotated[
        str,
        typer.Option(
            metavar="STATES", help="Only those in one of these states, like waiting,receiving."
        ),
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="The largest number of uploads to list."),
    ] = None,
    newest: Annotated[bool, typer.Option("--newest", help="List the newest first.")] = False,
    everybody: Annotated[
        bool,
        typer.Option("--all", help="Of a server, list the uploads of all owners. For operators."),
    ] = False,
    key: Key = None,
    ca: Ca = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """List uploads, oldest first: yours on a server, or those of all owners in a data folder."""
    wanted = Wanted(parse_states(state), newest, limit)
    lines = Lines(as_json=as_json)
    if url is None:

        async def print_all(engine: "Engine") -> None:
            async for upload in in_records(engine, wanted):
                lines.print(upload)

        with_engine(data, print_all)
    else:
        from wherry.cli import asking  # noqa: PLC0415

        asked = asking.for_operators() if everybody else nullcontext()
        with asking.server(url, key, ca, insecure) as client, asked:
            for upload in at_server(client, wanted, everybody=everybody):
                lines.print(upload)
    lines.end()


async def in_records(engine: "Engine", wanted: Wanted) -> AsyncIterator[Facts]:
    """Raises `UploadError`."""
    from wherry.core.pages import Cursor, PageRequest  # noqa: PLC0415
    from wherry.protocols.chunked import operators  # noqa: PLC0415

    states = frozenset(map(State, wanted.states)) or None
    after: Cursor | None = None
    found = 0
    while most := wanted.page_size(found):
        request = PageRequest(after, most, wanted.newest)
        page = await engine.uploads(OPERATOR, states, request, everybody=True)
        positions = await engine.positions(page)
        for upload in page:
            rendered = operators.render_upload(upload, positions.get(upload.id), engine)
            yield rendered.model_dump(mode="json")
        found += len(page)
        if (after := page.next) is None:
            return


def at_server(client: "Client", wanted: Wanted, *, everybody: bool) -> Iterator[Facts]:
    """Raises `ClientError`."""
    asked: dict[str, Any] = {"order": "newest" if wanted.newest else "oldest"}
    if wanted.states:
        asked["state"] = ",".join(wanted.states)
    found = 0
    while most := wanted.page_size(found):
        query = urlencode({**asked, "limit": most})
        page = client.get(f"/{'all' if everybody else ''}?{query}")
        yield from page["uploads"]
        found += len(page["uploads"])
        if page.get("next") is None:
            return
        asked["after"] = page["next"]


class Lines:
    """Prints uploads as they come, one on each line; as JSON, they are one array."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._printed = 0

    def print(self, upload: Facts) -> None:
        if self._as_json:
            typer.echo(f"{',' if self._printed else '['}{json.dumps(upload)}")
        else:
            typer.echo(render_line(upload))
        self._printed += 1

    def end(self) -> None:
        if self._as_json:
            typer.echo("]" if self._printed else "[]")


def render_line(upload: Facts) -> str:
    from wherry.cli.screen import printable  # noqa: PLC0415 - rich is slow to import

    whole = "an unknown size" if upload["size"] is None else size(upload["size"])
    received = f"{size(upload['received_bytes'])} of {whole}"
    who = f"{upload['owner']}  " if "owner" in upload else ""
    line = f"{upload['upload_id']} {upload['state']:10} {received:24} {who}{upload['filename']}"
    return printable(line)
