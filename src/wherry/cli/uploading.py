"""What `wherry upload` does, once its options are read.

Rule 1: results go to stdout, everything else to stderr; with `--json`, stdout is
one JSON object a line and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import typer
from anyio import to_thread

from wherry.cli.asking import hint_at_key, render_assessment
from wherry.cli.failing import WRONG_USAGE, exit_code_of, failing, sentence_of
from wherry.cli.files import Chosen, choose
from wherry.cli.screen import Screen, new_console, printable
from wherry.cli.servers import find_server
from wherry.cli.sizes import size
from wherry.client import (
    Assessment,
    AsyncClient,
    ClientError,
    EarlyVerdict,
    NotAssessed,
    Result,
    Unauthorized,
)
from wherry.client.asynchronous import AT_ONCE, parse_base_url
from wherry.core.limits import MiB

INTERRUPTED = "stopped; no received byte is lost. Run the same command again, and it goes on."
NOT_ASSESSED = (
    "not waiting: the server returned no assessment id, so nothing is assessed. "
    "`wherry serve` assesses files if wherry[assessment] is installed."
)
NOT_FOR_GUESTS = "not waiting: a guest ticket cannot ask for assessments"
NOT_AWAITED = "stopped waiting; the upload is complete. `wherry report` prints the report later."


def upload(
    files: list[Path],
    url: str,
    *,
    recursive: bool,
    key: str | None,
    ca: Path | None,
    insecure: bool,
    chunk_size: int | None,
    parallel: int | None,
    limit_rate: int | None,
    smart: bool,
    wait: bool,
    stop_early: bool,
    metadata: dict[str, str],
    name: str | None,
    again: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    with failing(code=WRONG_USAGE):
        if not files:
            raise ValueError(what_is_missing(url))
        server = find_server(url, key=key, ca=ca, insecure=insecure)
        parse_base_url(server.url)
        chosen = list(choose(files, recursive=recursive))
        if name is not None and len(chosen) > 1:
            raise ValueError("--name is for one file, and there are several")
        if name is None and any(file.is_stdin for file in chosen):
            raise ValueError("standard input has no name: give one with --name")
    with failing():
        client = AsyncClient(
            server.url,
            key=server.key,
            concurrency=parallel,
            chunk_size=chunk_size,
            verify=server.verify,
            rate=limit_rate,
        )
    send = partial(client.upload, filename=name, smart=smart, again=again)
    small = (chunk_size or 5 * MiB) if smart else -1
    uploads = Uploads(client, send, metadata, small, server.key, wait, stop_early, quiet, as_json)
    if insecure:
        new_console().print("warning: the server's certificate is not checked")
    try:
        anyio.run(uploads.upload_all, chosen)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(uploads.exit_code)


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
    metadata: dict[str, str]
    small: int  # the size in bytes up to which files are sent at once
    key: str | None
    wait: bool
    stop_early: bool
    quiet: bool
    as_json: bool
    failures: set[int] = field(default_factory=set)  # exit codes

    @property
    def exit_code(self) -> int:
        """That of all failures, if they have the same; 0 if there are none."""
        return 1 if len(self.failures) > 1 else max(self.failures, default=0)

    async def upload_all(self, files: list[Chosen]) -> None:
        slots = anyio.Semaphore(AT_ONCE)
        console = new_console()
        async with self.client, anyio.create_task_group() as tasks:
            for file in files:
                path = file.path
                is_small = len(files) > 1 and path.is_file() and path.stat().st_size <= self.small
                # A small file has no bar, so its name is in each line about it.
                screen = Screen(console, f"{path}: " if is_small else "", is_quiet=self.quiet)
                needed = 1 if is_small else AT_ONCE
                for _ in range(needed):
                    await slots.acquire()
                tasks.start_soon(self._upload_in_turn, file, screen, slots, needed)

    async def _upload_in_turn(
        self, file: Chosen, screen: Screen, slots: anyio.Semaphore, needed: int
    ) -> None:
        try:
            if code := await self._upload(file, screen):
                self.failures.add(code)
        finally:
            for _ in range(needed):
                slots.release()

    async def _upload(self, chosen: Chosen, screen: Screen) -> int:
        """Send one file, wait for its assessment if asked to, and print the outcome.

        Returns the exit code that stands for it.
        """
        result = assessed = None
        file = chosen.path
        try:
            with screen.following(file.name):
                result = await self._send(chosen, screen)
            if self.wait:
                assessed = await wait_for(self.client, result.assessment_id, screen)
        except anyio.get_cancelled_exc_class():  # Ctrl-C
            screen.say(f"{file}: {INTERRUPTED if result is None else NOT_AWAITED}")
            self._print_outcome(file, result, assessed, {"type": "Interrupted"})
            raise
        except (ClientError, OSError, ValueError) as error:
            hint_at_key(error, self.key)
            screen.say(_sentence(file, error))
            self._print_outcome(file, result, assessed, _facts(error))
            return exit_code_of(error)
        self._print_outcome(file, result, assessed, None)
        return 1 if assessed is not None and assessed.state == "failed" else 0

    async def _send(self, chosen: Chosen, screen: Screen) -> Result:
        within = {} if chosen.within is None else {"relative_path": chosen.within}
        file = await to_thread.run_sync(chosen.open)
        try:
            return await self.send(
                file,
                metadata={**within, **self.metadata},
                on_progress=screen.show,
                on_early=partial(self._told_early, screen),
            )
        finally:
            if not isinstance(file, Path):
                file.close()

    def _told_early(self, screen: Screen, early: EarlyVerdict) -> bool:
        """Say what the ends of the file show; True if the upload is to be stopped."""
        stops = self.stop_early and early.verdict == "fail"
        if not stops:
            screen.show_early(early)
        return stops

    def _print_outcome(
        self,
        file: Path,
        result: Result | None,
        assessed: Assessment | None,
        error: dict[str, Any] | None,
    ) -> None:
        """Print one file's outcome to stdout; also a complete upload whose assessment failed."""
        if self.as_json:
            facts: dict[str, Any] = {"file": str(file), "ok": error is None}
            facts |= asdict(result) if result else {}
            facts |= {"assessment": asdict(assessed)} if assessed else {}
            facts |= {"error": error} if error else {}
            typer.echo(json.dumps(facts))
            return
        if self.quiet:
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


async def wait_for(
    client: AsyncClient, assessment_id: str | None, screen: Screen
) -> Assessment | None:
    """Wait for the assessment. Where there is none, or none for this caller, say so: None.

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
    except Unauthorized as error:
        if error.code != "not-for-guests":
            raise
        screen.say(NOT_FOR_GUESTS)
    return None


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
