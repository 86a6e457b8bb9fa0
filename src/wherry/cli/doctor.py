"""`wherry doctor`: what lies between this machine and Wherry, and what to change there.

Rule 1: results go to stdout, and what is being done to stderr.
"""

# No `from __future__ import annotations`: the options are read off the annotations.

from pathlib import Path
from typing import Annotated

import typer

from wherry.cli.failing import failing
from wherry.cli.servers import find_server
from wherry.cli.upload import Json, Key, Url

#: The letter that --write writes, in the current folder.
LETTER = Path("INGRESS_FIX_REQUIRED.md")


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    url: Url,
    *,
    key: Key = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help=f"Write {LETTER}, which must not exist yet: for those who run the ingress.",
        ),
    ] = False,
    seconds: Annotated[
        float,
        typer.Option(
            min=5,
            max=30,
            metavar="SECONDS",
            help="The most time to take. Timers are not measured in less than 18.",
        ),
    ] = 30.0,
    origin: Annotated[
        str | None,
        typer.Option(
            metavar="ORIGIN",
            help="Where your page is, like https://app.example.org, if it is not at this address.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the largest request that gets through, who refuses more, and what to change there.

    Takes at most 30 seconds and sends at most 32 MiB, most often far less. Nothing is stored.
    """
    with failing():
        from wherry.cli.screen import new_console, printable  # noqa: PLC0415
        from wherry.doctor.address import parse_address  # noqa: PLC0415
        from wherry.doctor.diagnosis import diagnose  # noqa: PLC0415
        from wherry.doctor.examination import examine  # noqa: PLC0415
        from wherry.doctor.report import render_json, render_letter, render_text  # noqa: PLC0415

        try:
            server = find_server(url, key=key)
            key = server.key
            address = parse_address(server.url, [("authorization", f"Bearer {key}")] if key else [])
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        if write and LETTER.exists():
            raise FileExistsError(f"{LETTER} exists already: move it away first")
        console = new_console()

        def say(what: str) -> None:
            console.print(printable(f"{what} …"), soft_wrap=True)

        measured = examine(address, seconds, origin, say)
        diagnosis = diagnose(measured)
        if write:
            with LETTER.open("x", encoding="utf-8") as file:
                file.write(render_letter(measured, diagnosis))
            console.print(f"wrote {LETTER}", soft_wrap=True)
        if as_json:
            typer.echo(render_json(measured, diagnosis))
        else:
            text = render_text(measured, diagnosis)
            typer.echo("\n".join(map(printable, text.splitlines())))
    if measured.problem is not None:
        raise typer.Exit(1)
