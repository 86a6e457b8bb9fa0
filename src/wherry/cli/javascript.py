"""`wherry js`: prints the browser client, and what imports it."""

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
    element: Annotated[
        bool,
        typer.Option(
            "--element", help="Print the element <wherry-upload>, which imports the client."
        ),
    ] = False,
    uppy: Annotated[
        bool, typer.Option("--uppy", help="Print the uploader for Uppy, which imports the client.")
    ] = False,
) -> None:
    """Print the browser client: one file without dependencies, for your frontend."""
    wanted = {"useUpload": react, "wherryUpload": element, "uppyWherry": uppy}
    names = [name for name, is_wanted in wanted.items() if is_wanted]
    if len(names) > 1:
        raise typer.BadParameter("print one file at a time")
    [name] = names or ["chunkedUploadApi"]
    ending = "d.ts" if types else "js"
    typer.echo((files("wherry") / "static" / f"{name}.{ending}").read_bytes(), nl=False)
