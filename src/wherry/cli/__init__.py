"""The command line: clients, `doctor`, `serve`, `migrate`, the operator's commands, `js`,
`receipt`, `demo`.

Rule 1: modules that need the server's extras are imported inside the command that needs them, so
that `wherry upload` works with the client alone. So is the client, so that `wherry serve` does not
hold it in memory.
"""

from __future__ import annotations

import typer

from wherry import __version__
from wherry.cli import (
    demo,
    doctor,
    javascript,
    listing,
    migrate,
    operate,
    receipts,
    serving,
    top,
    upload,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Uploads large files through ingresses that limit the size of a request.",
)
upload.register(app)
doctor.register(app)
serving.register(app)
operate.register(app)
listing.register(app)
top.register(app)
migrate.register(app)
javascript.register(app)
receipts.register(app)
demo.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wherry {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", "-V", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def main() -> None:
    app()
