"""`wherry paths`: what passes on the way to each public host, and what is refused there."""

# No `from __future__ import annotations`: the options are read off the annotations.

import json
from datetime import UTC, datetime
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
        typer.Option(metavar="HOST", help="Forget what is known of this host, and list nothing."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List what passes on the way to each public host: the largest body that has arrived there,
    and the smallest that proxies in front refuse, as clients report.

    A refusal counts for its owner at once, and for all clients when three owners have reported
    it. It is forgotten after a day, and when a larger body of its owner, or of three others, has
    arrived.
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
        if narrow := [path.host for path in found if path.refuses is not None]:
            command = f"wherry doctor https://{narrow[0]}/api"
            typer.echo(f"What refuses, and what to change: {command}", err=True)

    with_engine(data, print_all)


def _as_dict(path: "PathSummary", engine: "Engine") -> dict[str, object]:
    return {
        "host": path.host,
        "passes": path.passes,
        "passed_at": _date(path.passed_at, engine),
        "refuses": path.refuses,
        "refused_at": _date(path.refused_at, engine),
        "refused_by": path.refused_by,
        "owners": path.owners,
        "confirmed": path.is_confirmed,
    }


def _as_line(path: "PathSummary", engine: "Engine") -> str:
    passes = "nothing yet" if path.passes is None else size(path.passes)
    line = f"{path.host:30} passes {passes:11}"
    if path.refuses is None:
        return line.rstrip()
    owners = "1 owner" if path.owners == 1 else f"{path.owners} owners"
    word = "confirmed" if path.is_confirmed else "not confirmed"
    by = f"by {path.refused_by} " if path.refused_by else ""
    at = _date(path.refused_at, engine)
    return f"{line} refuses {size(path.refuses)} {by}({owners}, {word}, {at})"


def _date(moment: float | None, engine: "Engine") -> str | None:
    if moment is None:
        return None
    date = datetime.fromtimestamp(engine.date_of(moment), UTC).replace(microsecond=0)
    return date.isoformat().replace("+00:00", "Z")
