"""What `wherry upload` and `wherry report` do, once their options are read.

Rule 1: results go to stdout, everything else to stderr; with `--json`, stdout is
one JSON object a line and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import typer

from wherry.cli.failing import WRONG_USAGE, failing, sentence_of
from wherry.cli.screen import Screen, new_console, printable
from wherry.cli.sizes import size
from wherry.client import (
    Assessment,
    AsyncClient,
    Client,
    ClientError,
    NotAssessed,
    Result,
    Unauthorized,
)
from wherry.client.asynchronous import AT_ONCE, parse_base_url
from wherry.core.limits import MiB

INTERRUPTED = "stopped; no received byte is lost. Run the same command again, and it goes on."
KEY_HINT = (
    "Give a key with --key or WHERRY_API_KEY. It is sent as Authorization: Bearer; "
    "the command line supports no other login."
)
NOT_ASSESSED = (
    "not waiting: the server returned no assessment id, so nothing is assessed. "
    "`wherry serve` assesses files if wherry[assessment] is installed."
)
NOT_AWAITED = "stopped waiting; the upload is complete. `wherry report` prints the report later."


def upload(
    files: list[Path],
    url: str,
    *,
    key: str | None,
    chunk_size: int | None,
    parallel: int | None,
    smart: bool,
    wait: bool,
    metadata: dict[str, str],
    name: str | None,
    again: bool,
    as_json: bool,
) -> None:
    with failing(code=WRONG_USAGE):
        if not files:
            raise ValueError(what_is_missing(url))
        parse_base_url(url)
    with failing():
        client = AsyncClient(url, key=key, concurrency=parallel, chunk_size=chunk_size)
    send = partial(client.upload, filename=name, metadata=metadata, smart=smart, again=again)
    small = (chunk_size or 5 * MiB) if smart else -1
    uploads = Uploads(client, send, small, key, wait, as_json)
    try:
        arrived = anyio.run(uploads.upload_all, files)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(0 if arrived else 1)


def what_is_missing(only: str) -> str:
    """For `wherry upload` with one argument instead of two."""
    if "://" in only:
        return f"no file is given. Write: wherry upload FILE {only}"
    return (
        "the server's address is missing. It comes last: "
        f"wherry upload {only} https://example.org/api"
    )


@dataclass(slots=True)
class Uploads:
    """Several files: small ones at once, and each larger one alone."""

    client: AsyncClient
    send: Callable[..., Awaitable[Result]]
    small: int  # the size in bytes up to which files are sent at once
    key: str | None
    wait: bool
    as_json: bool
    have_all_arrived: bool = True

    async def upload_all(self, files: list[Path]) -> bool:
        """Returns False if an upload or an assessment failed."""
        slots = anyio.Semaphore(AT_ONCE)
        console = new_console()
        async with self.client, anyio.create_task_group() as tasks:
            for file in files:
                is_small = len(files) > 1 and file.is_file() and file.stat().st_size <= self.small
                # A small file has no bar, so its name is in each line about it.
                screen = Screen(console, f"{file}: " if is_small else "")
                needed = 1 if is_small else AT_ONCE
                for _ in range(needed):
                    await slots.acquire()
                tasks.start_soon(self._upload_in_turn, file, screen, slots, needed)
        return self.have_all_arrived

    async def _upload_in_turn(
        self, file: Path, screen: Screen, slots: anyio.Semaphore, needed: int
    ) -> None:
        try:
            if not await self._upload(file, screen):
                self.have_all_arrived = False
        finally:
            for _ in range(needed):
                slots.release()

    async def _upload(self, file: Path, screen: Screen) -> bool:
        """Send one file, wait for its assessment if asked to, and print the outcome."""
        result = assessed = None
        try:
            with screen.following(file.name):
                result = await self.send(file, on_progress=screen.show)
            if self.wait:
                assessed = await wait_for(self.client, result.assessment_id, screen)
        except anyio.get_cancelled_exc_class():  # Ctrl-C
            screen.say(f"{file}: {INTERRUPTED if result is None else NOT_AWAITED}")
            _print_outcome(file, result, assessed, {"type": "Interrupted"}, self.as_json)
            raise
        except (ClientError, OSError, ValueError) as error:
            hint_at_key(error, self.key)
            screen.say(_sentence(file, error))
            _print_outcome(file, result, assessed, _facts(error), self.as_json)
            return False
        _print_outcome(file, result, assessed, None, self.as_json)
        return assessed is None or assessed.state != "failed"


def _never(size: int) -> bool:
    return False


def report(assessment_id: str, url: str, *, key: str | None, wait: bool, as_json: bool) -> None:
    screen = Screen()
    with failing(code=WRONG_USAGE):
        client = Client(url, key=key)
    with failing():
        try:
            if wait:
                assessed = client.wait_for_assessment(assessment_id, screen.show_steps)
            else:
                assessed = client.assessment(assessment_id)
        except Unauthorized as error:
            hint_at_key(error, key)
            raise
        typer.echo(json.dumps(asdict(assessed)) if as_json else render_assessment(assessed))
    raise typer.Exit(1 if assessed.state == "failed" else 0)


async def wait_for(
    client: AsyncClient, assessment_id: str | None, screen: Screen
) -> Assessment | None:
    """Wait for the assessment. If Wherry makes none, say so and return None.

    Raises `ClientError`.
    """
    if assessment_id is None:
        screen.say(NOT_ASSESSED)
        return None
    try:
        return await client.wait_for_assessment(assessment_id, screen.show_steps)
    except NotAssessed:
        screen.say(
            f"not waiting: this application does its own processing; its id is {assessment_id}"
        )
        return None


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


def _print_outcome(
    file: Path,
    result: Result | None,
    assessed: Assessment | None,
    error: dict[str, Any] | None,
    as_json: bool,
) -> None:
    """Print one file's outcome to stdout; also a complete upload whose assessment failed."""
    if as_json:
        facts: dict[str, Any] = {"file": str(file), "ok": error is None}
        facts |= asdict(result) if result else {}
        facts |= {"assessment": asdict(assessed)} if assessed else {}
        facts |= {"error": error} if error else {}
        typer.echo(json.dumps(facts))
        return
    if result is not None:
        how = "already uploaded" if result.was_there else "complete"
        line = f"{file}: {how}, {size(result.size)}, upload {result.upload_id}"
        if result.assessment_id is not None:
            line += f", assessment {result.assessment_id}"
        if result.deleted_at is not None:
            line += f"; deleted or moved away on {result.deleted_at}, --again sends it again"
        typer.echo(printable(line))
    if assessed is not None:
        typer.echo(render_assessment(assessed))


def _sentence(file: Path, error: Exception) -> str:
    """The error's text after the file's name, which is not repeated."""
    text = sentence_of(error)
    return text if text.startswith(f"{file}: ") else f"{file}: {text}"


def _facts(error: Exception) -> dict[str, Any]:
    facts: dict[str, Any] = {"type": type(error).__name__, "detail": str(error)}
    if isinstance(error, ClientError):
        names = ("detail", "hint", "code", "status", "retryable")
        facts |= {name: getattr(error, name) for name in names}
    return facts
