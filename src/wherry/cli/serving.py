"""`wherry serve`, and `wherry worker`, the processing child that it starts."""

# No `from __future__ import annotations`: the options are read off the annotations.

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wherry.cli.failing import failing

if TYPE_CHECKING:
    from wherry.settings import Settings

Data = Annotated[
    Path, typer.Option("--data", envvar="WHERRY_DATA", help="The folder that holds all state.")
]
DATA = Path("wherry-data")

#: What a setting's number counts, by the name of its type in `settings.py`.
UNITS = {"Bytes": " bytes; may be written 5MiB", "Seconds": " seconds"}


def register(app: typer.Typer) -> None:
    with_settings(app, serve)
    app.command(hidden=True)(worker)


def with_settings(app: typer.Typer, command: Callable[..., None]) -> None:
    """Register `command` with an option for every setting, given to it as `settings`."""
    try:
        app.command()(_with_options(command))
    except ModuleNotFoundError as error:  # the client alone is installed
        missing = error

        def run(_: typer.Context) -> None:
            with failing():
                raise missing

        anything = {"ignore_unknown_options": True, "allow_extra_args": True}
        app.command(command.__name__, help=command.__doc__, context_settings=anything)(run)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    from wherry.settings import Settings  # noqa: PLC0415 - what the client alone does not have

    fields = {name: f for name, f in Settings.model_fields.items() if name != "data"}

    @functools.wraps(command)
    def run(data: Path, **options: Any) -> None:
        given = {name: options.pop(name) for name in fields}
        with failing():
            settings = Settings(data=data, **{k: v for k, v in given.items() if v is not None})
        command(settings=settings, **options)

    own = inspect.signature(command).parameters
    parameters = [p for name, p in own.items() if name != "settings"]
    parameters.append(_option("data", Data, DATA))
    for name, setting in fields.items():
        unit = UNITS.get(Settings.__annotations__[name].split(" ")[0], "")
        shown = f"{setting.description} (default: {setting.default}{unit})"
        parameters.append(_option(name, Annotated[str | None, typer.Option(help=shown)], None))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del run.__wrapped__  # typer would look at it instead
    return run


def _option(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, annotation=annotation, default=default)


def serve(
    settings: "Settings",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0: any that is free.")
    ] = 8000,
) -> None:
    """Start the server; it is ready when GET /healthz answers 200."""
    with failing():
        from wherry import server  # noqa: PLC0415

        check_writable(settings.data)
        server.serve(settings, host, port)


def check_writable(data: Path) -> None:
    """Raises `PermissionError` where another user made the folder, or what is in it."""
    for path in (data, *data.glob("*.sqlite*"), *data.glob("*.lock")):
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(
                f"{path} may not be written by the user who runs this; "
                "give it to that user, or name another folder with --data"
            )


def worker(
    data: Data = DATA,
    until_stdin_closes: Annotated[
        bool, typer.Option(help="End when the process that started this one does.")
    ] = False,
    policy: Annotated[
        str, typer.Option(envvar="WHERRY_POLICY", help="What judges them: a name, or a file.")
    ] = "web",
) -> None:
    """Process finished uploads; `wherry serve` starts one by itself."""
    with failing():
        from wherry import app  # noqa: PLC0415
        from wherry.settings import Settings  # noqa: PLC0415

        app.work(Settings(data=data, policy=policy), until_stdin_closes)
