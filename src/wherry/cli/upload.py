"""`wherry upload` and `wherry report`: the options of the client for people and scripts.

Rule 1: the client is imported when a command runs, because the server has no use for it.
"""

# No `from __future__ import annotations`: the options are read off the annotations.

from pathlib import Path
from typing import Annotated

import typer

from wherry.core.limits import parse_size


def size_option(text: str) -> int:
    """Raises `typer.BadParameter`."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def parse_metadata(pairs: list[str]) -> dict[str, str]:
    """From `name=value`. Raises `typer.BadParameter`."""
    found = dict(pair.partition("=")[::2] for pair in pairs)
    if not all("=" in pair for pair in pairs) or "" in found:
        raise typer.BadParameter("write metadata as name=value")
    return found


Url = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help="The address of the API, like https://example.org/api, or a name from servers.toml.",
    ),
]
OptionalUrl = Annotated[
    str | None,
    typer.Argument(
        metavar="[URL]",
        help="The address of the API, like https://example.org/api, or a name from "
        "servers.toml. Without it, the command reads the data folder.",
        show_default=False,
    ),
]
Key = Annotated[
    str | None, typer.Option(metavar="KEY", help="The API key (environment: WHERRY_API_KEY).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Ca = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Trust the authorities in this file, too (PEM)."),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", help="Do not check the server's certificate. Only for tests."),
]


UploadId = Annotated[str, typer.Argument(help="The id that `wherry upload` printed.")]


def register(app: typer.Typer) -> None:
    app.command()(upload)
    app.command()(report)
    app.command()(status)
    app.command()(watch)
    app.command()(cancel)


def upload(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="The files to send; - is standard input, and needs --name.",
            show_default=False,
        ),
    ] = None,
    url: Url = ...,  # type: ignore[assignment]  # typer's mark for an argument that is required
    *,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Send all files in the folders given.")
    ] = False,
    key: Key = None,
    ca: Ca = None,
    insecure: Insecure = False,
    chunk_size: Annotated[
        int | None,
        typer.Option(
            parser=size_option, metavar="SIZE", help="The largest chunk, in bytes or like 5MiB."
        ),
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="How many requests may run at once.")
    ] = None,
    limit_rate: Annotated[
        int | None,
        typer.Option(
            parser=size_option,
            metavar="SIZE",
            help="The most bytes a second, like 2MiB, for all files together.",
        ),
    ] = None,
    smart: Annotated[
        bool, typer.Option(help="Try one ordinary request first for a small file.")
    ] = True,
    wait: Annotated[
        bool, typer.Option(help="Wait for the assessment too, if Wherry makes one.")
    ] = False,
    stop_early: Annotated[
        bool,
        typer.Option(
            "--stop-early",
            help="Cancel the upload of a video as soon as its beginning and its end show that its "
            "verdict is `fail`.",
        ),
    ] = False,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Metadata that is kept with the upload. May be repeated."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The file's name on the server, if it differs."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Send files even if they were uploaded before.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what failed.")] = False,
    as_json: Json = False,
) -> None:
    """Upload files: small ones four at once, larger ones one after the other.

    An interrupted upload resumes where it stopped.

    The command does not send a file that was uploaded before.
    """
    about = parse_metadata(metadata or [])
    from wherry.cli import uploading  # noqa: PLC0415

    uploading.upload(
        files or [],
        url,
        recursive=recursive,
        key=key,
        ca=ca,
        insecure=insecure,
        chunk_size=chunk_size,
        parallel=parallel,
        limit_rate=limit_rate,
        smart=smart,
        wait=wait,
        stop_early=stop_early,
        metadata=about,
        name=name,
        again=again,
        quiet=quiet,
        as_json=as_json,
    )


def report(
    assessment_id: Annotated[str, typer.Argument(help="The id that `wherry upload` printed.")],
    url: Url,
    *,
    key: Key = None,
    ca: Ca = None,
    insecure: Insecure = False,
    wait: Annotated[bool, typer.Option(help="Wait until the assessment is finished.")] = False,
    as_json: Json = False,
) -> None:
    """Print the report of an assessment."""
    from wherry.cli import asking  # noqa: PLC0415

    with asking.server(url, key, ca, insecure) as client:
        asking.report(client, assessment_id, wait=wait, as_json=as_json)


def status(
    upload_id: UploadId,
    url: Url,
    *,
    key: Key = None,
    ca: Ca = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Print what the server has of an upload."""
    from wherry.cli import asking  # noqa: PLC0415

    with asking.server(url, key, ca, insecure) as client:
        asking.status(client, upload_id, as_json=as_json)


def watch(
    upload_id: UploadId,
    url: Url,
    *,
    key: Key = None,
    ca: Ca = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Show an upload that somebody else sends, until it is complete and assessed.

    With --json, the command prints nothing before that.
    """
    from wherry.cli import asking  # noqa: PLC0415

    with asking.server(url, key, ca, insecure) as client:
        asking.watch(client, upload_id, as_json=as_json)


def cancel(
    upload_id: UploadId, url: Url, *, key: Key = None, ca: Ca = None, insecure: Insecure = False
) -> None:
    """Cancel an upload, and delete what the server has of it."""
    from wherry.cli import asking  # noqa: PLC0415

    with asking.server(url, key, ca, insecure) as client:
        client.cancel(upload_id)
