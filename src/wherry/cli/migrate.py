"""`wherry migrate`: prepares the database, or moves an installation into it."""

# No `from __future__ import annotations`: the options are read off the annotations.

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from wherry.cli.failing import failing
from wherry.cli.serving import register_with_settings

if TYPE_CHECKING:
    from wherry.settings import Settings


class Source(Enum):
    SQLITE = "sqlite"


def register(app: typer.Typer) -> None:
    register_with_settings(app, migrate)


def migrate(
    settings: "Settings",
    source: Annotated[
        Source | None,
        typer.Option(
            "--from",
            help="Move the records of the data folder into the database. Stop all servers and "
            "workers.",
        ),
    ] = None,
) -> None:
    """Create the tables of the catalog, or bring them up to date.

    A server does this when it starts. With this command, an update of several servers can do it
    first, and stop if it fails.

    With --from sqlite, the records of the data folder move to
    the PostgreSQL database that --database names; files stay where they are.
    """
    with failing():
        from wherry.app import backends, migrating  # noqa: PLC0415

        if source is None:
            asyncio.run(migrating.prepare(settings))
            typer.echo("The tables are up to date.")
            return
        moved = migrating.move(settings)
        counted = f"{moved['uploads']} uploads and {moved['assessments']} assessments"
        typer.echo(f"Moved {counted}. The old catalog is now {settings.data / backends.MOVED}.")
        typer.echo("Start all servers with the same --database from now on.")
