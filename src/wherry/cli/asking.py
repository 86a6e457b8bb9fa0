"""What the commands do that ask a server about uploads: `wherry report`, `status` and `cancel`.

Rule 1: results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import typer

from wherry.cli.failing import WRONG_USAGE, failing
from wherry.cli.screen import Screen, printable
from wherry.cli.servers import find_server
from wherry.cli.sizes import size
from wherry.client import Assessment, Client, Unauthorized
from wherry.client.answers import UploadStatus

KEY_HINT = (
    "Give a key with --key or WHERRY_API_KEY. It is sent as Authorization: Bearer; "
    "the command line supports no other login."
)


@contextmanager
def server(url: str, key: str | None, ca: Path | None, insecure: bool) -> Iterator[Client]:
    """A client of the server at this address, or of this name. Ends the command if it fails."""
    with failing(code=WRONG_USAGE):
        found = find_server(url, key=key, ca=ca, insecure=insecure)
        client = Client(found.url, key=found.key, verify=found.verify)
    with failing(), client:
        try:
            yield client
        except Unauthorized as error:
            hint_at_key(error, found.key)
            raise


def report(client: Client, assessment_id: str, *, wait: bool, as_json: bool) -> None:
    screen = Screen()
    if wait:
        assessed = client.wait_for_assessment(assessment_id, screen.show_steps)
    else:
        assessed = client.assessment(assessment_id)
    typer.echo(json.dumps(asdict(assessed)) if as_json else render_assessment(assessed))
    if assessed.state == "failed":
        raise typer.Exit(1)


def status(client: Client, upload_id: str, *, as_json: bool) -> None:
    found = client.status(upload_id)
    typer.echo(json.dumps(asdict(found)) if as_json else printable(render_status(found)))


def render_status(found: UploadStatus) -> str:
    """In one line."""
    whole = "" if found.size is None else f" of {size(found.size)}"
    parts = [f"{found.filename or found.upload_id}: {found.state}"]
    parts.append(f"{size(found.received_bytes)}{whole} safe")
    if found.position is not None:
        parts.append(f"position {found.position} in the queue")
    if found.assessment_id is not None:
        parts.append(f"assessment {found.assessment_id}")
    if found.expires_at is not None:
        parts.append(f"kept until {found.expires_at}")
    if found.deleted_at is not None:
        parts.append(f"deleted or moved away on {found.deleted_at}")
    return ", ".join(parts)


def hint_at_key(error: Exception, key: str | None) -> None:
    """After a 401 without a key, the hint says how to give one."""
    if isinstance(error, Unauthorized) and error.status == 401 and not key:
        error.hint = KEY_HINT


def render_assessment(assessed: Assessment) -> str:
    """The report as text; without one, the state of the assessment."""
    if assessed.report is not None:
        from wherry.assessment.text import render_report_text  # noqa: PLC0415

        return render_report_text(assessed.report).rstrip()
    steps = ", ".join(f"{step.name} {step.state}" for step in assessed.steps)
    problem = assessed.problem or assessed.worker_problem
    return ": ".join(part for part in (assessed.state, problem, steps) if part)
