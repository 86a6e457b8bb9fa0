"""`wherry migrate`, which brings the tables up to date before servers are replaced."""

# No `from __future__ import annotations`: the options are read off the annotations.

import asyncio
from typing import TYPE_CHECKING

import typer

from wherry.cli.failing import failing
from wherry.cli.serving import register_with_settings

if TYPE_CHECKING:
    from wherry.settings import Settings


def register(app: typer.Typer) -> None:
    register_with_settings(app, migrate)


def migrate(settings: "Settings") -> None:
    """Bring the tables of the database up to date, and end.

    A server does this by itself when it starts. With this command, an update of several servers
    can do it first, and stop if it fails.
    """
    with failing():
        from wherry.app.backends import open_catalog  # noqa: PLC0415

        asyncio.run(open_catalog(settings).close())
    typer.echo("The tables are up to date.")
