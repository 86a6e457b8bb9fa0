"""`wherry serve`, and `wherry worker`, the processing child that it starts."""

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
    app.command(hidden=True)(worker)


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


def worker(  # noqa: PLR0917 - typer calls it by keyword
    data: Data = DATA,
    until_stdin_closes: Annotated[
        bool, typer.Option(help="End with the process that started this one.")
    ] = False,
    policy: Annotated[
        str,
        typer.Option(
            envvar="WHERRY_POLICY",
            help="The policy that judges assessments: a name, or a TOML file.",
        ),
    ] = "web",
    storage: Annotated[
        str | None, typer.Option(envvar="WHERRY_STORAGE", help="The bucket that keeps all files.")
    ] = None,
    s3_endpoint: Annotated[
        str | None, typer.Option(envvar="WHERRY_S3_ENDPOINT", help="The object store's address.")
    ] = None,
    s3_profile: Annotated[
        str | None, typer.Option(envvar="WHERRY_S3_PROFILE", help="The profile with credentials.")
    ] = None,
) -> None:
    """Process finished uploads. `wherry serve` starts a worker by itself."""
    with failing():
        from wherry import app  # noqa: PLC0415
        from wherry.settings import Settings  # noqa: PLC0415

        settings = Settings(
            data=data,
            policy=policy,
            storage=storage,
            s3_endpoint=s3_endpoint,
            s3_profile=s3_profile,
        )
        app.work(settings, until_stdin_closes)
