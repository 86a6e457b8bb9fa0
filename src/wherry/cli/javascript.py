"""`wherry js`: prints the browser client."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command("js")(javascript)


def javascript(
    types: Annotated[
        bool, typer.Option("--types", help="Print the TypeScript types of the file: a .d.ts file.")
    ] = False,
    react: Annotated[
        bool,
        typer.Option("--react", help="Print the React hook useUpload, which imports the client."),
    ] = False,
) -> None:
    """Print the browser client: one file without dependencies, for your frontend."""
    name = "useUpload" if react else "chunkedUploadApi"
    ending = "d.ts" if types else "js"
    typer.echo((files("wherry") / "static" / f"{name}.{ending}").read_bytes(), nl=False)
