"""`wherry serve` and `wherry worker`."""

# No `from __future__ import annotations`: the options are read off the annotations.

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wherry.cli.failing import failing

if TYPE_CHECKING:
    from wherry.settings import Settings

Data = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="WHERRY_DATA",
        metavar="FOLDER",
        help="The folder that holds all files and records.",
    ),
]
DATA = Path("wherry-data")


def register(app: typer.Typer) -> None:
    register_with_settings(app, serve)
    register_with_settings(app, worker)


def register_with_settings(app: typer.Typer, command: Callable[..., None]) -> None:
    """Register `command` with an option for every setting, given to it as `settings`."""
    try:
        from wherry.cli.options import with_settings  # noqa: PLC0415 - needs the server

        app.command()(with_settings(command))
    except ModuleNotFoundError as error:  # the client alone is installed
        missing = error

        def run(_: typer.Context) -> None:
            with failing():
                raise missing

        anything = {"ignore_unknown_options": True, "allow_extra_args": True}
        app.command(command.__name__, help=command.__doc__, context_settings=anything)(run)


def serve(
    settings: "Settings",
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, metavar="PORT", help="The port to listen on. 0: any free port."
        ),
    ] = 8000,
) -> None:
    """Start the server. It is ready when GET /healthz answers 200.

    You can also set each option in the environment: WHERRY_MAX_SIZE for --max-size.
    """
    with failing():
        from wherry import server  # noqa: PLC0415

        check_writable(settings.data)
        server.serve(settings, host, port)


def check_writable(data: Path) -> None:
    """Raises `PermissionError` if another user made the folder, or files in it."""
    for path in (data, *data.glob("*.sqlite*"), *data.glob("*.lock")):
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(
                f"{path} may not be written by the user who runs this; "
                "give it to that user, or name another folder with --data"
            )


def worker(
    settings: "Settings",
    until_stdin_closes: Annotated[
        bool, typer.Option(help="End with the process that started this one.", hidden=True)
    ] = False,
) -> None:
    """Assess finished uploads. Without this command, one of the servers runs a worker.

    Give it the settings of the servers, or set them in the environment for all. On several
    machines, they need `database` and `storage`. The data folder is for files that are being
    assessed.
    """
    with failing():
        from wherry import app  # noqa: PLC0415

        app.work(settings, until_stdin_closes)
