"""The command line: `upload` and `report`, `serve` and what an operator needs, `js`, `demo`.

Rule 1: what only the server's extras bring is imported inside the command that
needs it, so that `wherry upload` works with the client alone.
"""

from __future__ import annotations

import typer

from wherry import __version__
from wherry.cli import demo, javascript, operate, serving, upload

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Brings big files through ingresses that are too narrow for them.",
)
upload.register(app)
serving.register(app)
operate.register(app)
javascript.register(app)
demo.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wherry {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True),
) -> None:
    pass


def main() -> None:
    app()
