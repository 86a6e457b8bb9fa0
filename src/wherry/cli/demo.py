"""`wherry demo`: an upload from beginning to end on one machine, with the usual failures."""

# No `from __future__ import annotations`: the options are read off the annotations.

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from wherry.cli.failing import failing
from wherry.core.limits import MiB


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    size: Annotated[
        int, typer.Option(metavar="MIB", help="The least size of the video, in MiB.")
    ] = 60,
) -> None:
    """Show an upload from beginning to end on this machine.

    This takes about 15 seconds, or half a minute on a busy machine. Nothing is left behind.
    """
    with failing():
        from wherry.cli.demonstration import Demo  # noqa: PLC0415

        folder = Path(tempfile.mkdtemp(prefix="wherry-demo-"))
        try:
            Demo(folder, size * MiB).run()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
