"""`wherry paths`: what passes on the way to each public host, and what is refused there."""

# No `from __future__ import annotations`: the options are read off the annotations.

import json
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wherry.cli.engines import OPERATOR, Json, with_engine
from wherry.cli.serving import DATA, Data
from wherry.cli.sizes import size

if TYPE_CHECKING:
    from wherry.core.paths import PathSummary
    from wherry.engine import Engine


def paths(
    data: Data = DATA,
    forget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST",
            help="Forget what is known of this host: its clients try larger requests again. "
            "List nothing.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List what passes on the way to each public host: the largest body that has arrived there,
    and the smallest that proxies in front refuse, as clients report.

    A refusal counts for its owner at once, and for all clients when three owners have reported
    it. It is forgotten after a day, and when a larger body of its owner, or of three others, has
    arrived. After you have widened the ingress, --forget ends it at once; the next requests show
    what passes.
    """
    if forget:
        gone = [host.lower() for host in forget]
        known = with_engine(data, lambda engine: engine.paths.forget(OPERATOR, gone))
        if missing := [host for host in gone if host not in known]:
            typer.echo(f"nothing is known of {', '.join(missing)}", err=True)
            raise typer.Exit(1)
        typer.echo("forgotten; running servers follow within seconds")
        return

    async def print_all(engine: "Engine") -> None:
        found = await engine.paths.summaries(OPERATOR)
        if as_json:
            typer.echo(json.dumps([_as_dict(path, engine) for path in found]))
            return
        for path in found:
            typer.echo(_as_line(path, engine))
        for line in _advice(found, data):
            typer.echo(line, err=True)

    with_engine(data, print_all)


def _as_dict(path: "PathSummary", engine: "Engine") -> dict[str, object]:
    from wherry.protocols.chunked.operators import render_path  # noqa: PLC0415

    return render_path(path, engine).model_dump(mode="json")


def _advice(found: "list[PathSummary]", data: Path) -> Iterator[str]:
    for host in (path.host for path in found if path.has_passed_since):
        forget = shlex.join(["wherry", "paths", "--data", str(data), "--forget", host])
        yield (
            f"{host}: larger bodies have passed since these reports. If the ingress has been "
            f"widened, forget them: {forget}"
        )
    narrow = [path for path in found if path.refuses is not None]
    if not narrow:
        return
    path = next((each for each in narrow if each.address), narrow[0])
    yield f"What refuses, and what to change: wherry doctor {path.address or 'ADDRESS'}"
    if path.address is None:
        yield (
            f"ADDRESS is that of the API as clients reach it, such as https://{path.host}/api. No "
            "request has said whether clients use https. If clients know the host by another name, "
            "the proxy does not pass it on (nginx: proxy_set_header Host $http_host; and "
            "proxy_set_header X-Forwarded-Proto $scheme;)."
        )


def _as_line(path: "PathSummary", engine: "Engine") -> str:
    passes = "nothing yet" if path.passes is None else size(path.passes)
    line = f"{path.host:30} passes {passes:11}"
    if path.refuses is None:
        return line.rstrip()
    owners = "1 owner" if path.owners == 1 else f"{path.owners} owners"
    word = "confirmed" if path.is_confirmed else "not confirmed"
    by = f"by {path.refused_by} " if path.refused_by else ""
    at = _date(path.refused_at, engine)
    since = "; larger bodies have passed since" if path.has_passed_since else ""
    return f"{line} refuses {size(path.refuses)} {by}({owners}, {word}, {at}{since})"


def _date(moment: float | None, engine: "Engine") -> str | None:
    if moment is None:
        return None
    date = datetime.fromtimestamp(engine.date_of(moment), UTC).replace(microsecond=0)
    return date.isoformat().replace("+00:00", "Z")
