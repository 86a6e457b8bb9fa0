"""`wherry js`: the browser client, to be put into an application."""

from __future__ import annotations

from importlib.resources import files

import typer


def register(app: typer.Typer) -> None:
    app.command("js")(javascript)


def javascript() -> None:
    """Print the browser client: one file without dependencies, to keep beside your own."""
    typer.echo((files("wherry") / "static" / "chunkedUploadApi.js").read_bytes(), nl=False)
