"""`wherry js`: the browser client, to be put into an application."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command("js")(javascript)


def javascript(
    types: Annotated[
        bool, typer.Option("--types", help="Print its types, for TypeScript: a .d.ts file.")
    ] = False,
) -> None:
    """Print the browser client: one file without dependencies, to keep beside your own."""
    name = "chunkedUploadApi.d.ts" if types else "chunkedUploadApi.js"
    typer.echo((files("wherry") / "static" / name).read_bytes(), nl=False)
