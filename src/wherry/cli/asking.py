"""The commands that ask a server about uploads: `wherry report`, `status`, `watch` and `cancel`.

Rule 1: results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import typer

from wherry.cli.failing import WRONG_USAGE, failing
from wherry.cli.screen import Screen, printable
from wherry.cli.servers import find_server
from wherry.cli.sizes import size
from wherry.client import Assessment, Client, NotAssessed, NotFound, Progress, Unauthorized
from wherry.client.answers import UploadStatus
from wherry.client.progress import WINDOW

KEY_HINT = (
    "Give a key with --key or WHERRY_API_KEY. It is sent as Authorization: Bearer; "
    "the command line supports no other login."
)

NO_OPERATOR = "Only operators may see this, and the server does not know this key as an operator's."
HOW_TO_BE_ONE = "The operator makes one with: wherry keys add NAME --operator"


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


@contextmanager
def for_operators() -> Iterator[None]:
    """What is asked for in here is for operators; others are answered as if it did not exist."""
    try:
        yield
    except NotFound as error:
        if error.code != "not-found":
            raise
        raise Unauthorized(NO_OPERATOR, HOW_TO_BE_ONE) from None


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


def watch(client: Client, upload_id: str, *, as_json: bool) -> None:
    """Until the upload is over, and its assessment."""
    screen, speed = Screen(is_quiet=as_json), Speed()
    first = client.status(upload_id)

    def show(now: UploadStatus) -> None:
        if now.size is not None and not now.is_over:
            screen.show(speed.progress(now, now.size, time.monotonic()))

    with screen.following(first.filename or upload_id):
        found = client.wait_for_upload(upload_id, show)
    assessed: Assessment | None = None
    if not as_json:
        typer.echo(printable(render_status(found)))
    if found.assessment_id is not None:
        with suppress(NotAssessed):  # the application has an assessment of its own
            assessed = client.wait_for_assessment(found.assessment_id, screen.show_steps)
    if as_json:
        whole = asdict(assessed) if assessed else None
        typer.echo(json.dumps({"upload": asdict(found), "assessment": whole}))
    elif assessed:
        typer.echo(render_assessment(assessed))
    if found.state != "complete" or (assessed and assessed.state == "failed"):
        raise typer.Exit(1)


class Speed:
    """How fast an upload grows that somebody else sends, by what was seen of it lately."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def progress(self, found: UploadStatus, total: int, now: float) -> Progress:
        """`now`: in seconds on a steady clock. `total`: bytes."""
        safe = found.received_bytes
        self._seen.append((now, safe))
        while self._seen[0][0] < now - WINDOW:
            self._seen.popleft()
        (then, before), speed = self._seen[0], None
        if safe > before:
            speed = (safe - before) / (now - then)
        state = "sending" if found.state == "receiving" else found.state
        left = (total - safe) / speed if speed else None
        return Progress(
            state, total, safe, safe, speed=speed, seconds_left=left, position=found.position
        )


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
    if found.ended_at is not None:
        parts.append(f"ended on {found.ended_at}")
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
