"""How `wherry top` shows what it has found: a few lines of facts, and three tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wherry.cli.looking import Facts, Look, Speeds
from wherry.cli.screen import printable
from wherry.cli.sizes import size

#: How wide what is printed may be, where no terminal limits it.
WIDE = 200
#: Rows of the tables of paths and of what has ended, at most, on a terminal.
FEW = 5
#: Lines that are neither a row nor a fact: headings, and what is between tables.
AROUND = 9


class TopScreen:
    """On a terminal a view that takes all of it; anywhere else, text."""

    def __init__(self, where: str) -> None:
        """`where`: what is looked at, an address or a folder."""
        self._where = where
        self._console = Console(highlight=False, markup=False)
        self._live = Live(console=self._console, screen=True, auto_refresh=False)

    @property
    def is_terminal(self) -> bool:
        return self._console.is_terminal

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, found: Look, speeds: Speeds, problem: str | None) -> None:
        """`problem`: why nothing newer is known."""
        self._live.update(self._render(found, speeds, problem, self._console.height), refresh=True)

    def print(self, found: Look, speeds: Speeds) -> None:
        Console(highlight=False, markup=False, width=WIDE).print(
            self._render(found, speeds, None, None)
        )

    def _render(
        self, found: Look, speeds: Speeds, problem: str | None, height: int | None
    ) -> Group:
        """`height`: how many lines there are; None: as many as wanted."""
        title = f"wherry {found.overview['version']}, {self._where}, {found.overview['at']}"
        lines = [title, *(_facts(found, speeds)), *_problems(found.overview, problem)]
        narrow = sorted(found.overview["paths"], key=lambda path: path["refuses"] is None)
        few = None if height is None else FEW
        paths, ended = narrow[:few], list(found.ended)[:few]
        most = None
        if height is not None:
            most = max(height - len(lines) - len(paths) - len(ended) - AROUND, 1)
        return Group(
            *(Text(printable(line), no_wrap=True, overflow="ellipsis") for line in lines),
            _uploads(found, speeds, most),
            *([_paths(paths)] if paths else []),
            *([_ended(ended)] if ended else []),
        )


def _facts(found: Look, speeds: Speeds) -> Iterator[str]:
    overview = found.overview
    uploads, storage = overview["uploads"], overview["storage"]
    limit = "" if overview["max_open"] is None else f" of {overview['max_open']}"
    since = overview["waiting_since"]
    oldest = "" if since is None else f" (the first for {_ago(since, overview)})"
    yield (
        f"uploads   {storage['uploads']}{limit} open, {uploads['receiving']} receiving, "
        f"{uploads['completing']} completing, {storage['waiting']} in the queue{oldest}"
    )
    yield f"speed     {_speed(speeds.of_all()) or 'not known yet'}"
    free = (
        "object store"
        if storage["total"] is None
        else f"{size(storage['free'])} of {size(storage['total'])} free"
    )
    yield f"storage   {size(storage['used'])} used, {size(storage['reserved'])} reserved, {free}"
    if (worker := overview["worker"]) is not None:
        counts = overview["assessments"]
        yield (
            f"assessing {counts['running']} running, {counts['queued']} queued, "
            f"{counts['failed']} failed, worker {worker['state']}"
        )


def _problems(overview: Facts, problem: str | None) -> Iterator[str]:
    if problem is not None:
        yield f"! what you see is old: {problem}"
    for each in overview["problems"]:
        yield f"! {each}"


def _uploads(found: Look, speeds: Speeds, most: int | None) -> Table:
    def urgency(upload: Facts) -> tuple[bool, float, int]:
        return (
            upload["position"] is not None,
            -(speeds.of(upload["upload_id"]) or 0.0),
            upload["position"] or 0,
        )

    ordered = sorted(found.uploads, key=urgency)
    shown = ordered if most is None or len(ordered) <= most else ordered[: max(most - 1, 0)]
    rows = [
        (
            upload["filename"],
            upload["owner"],
            _state(upload),
            _received(upload),
            _speed(speeds.of(upload["upload_id"])),
            _ago(upload["last_byte_at"], found.overview),
            upload["upload_id"],
        )
        for upload in shown
    ]
    counts = found.overview["uploads"]
    left = sum(counts.values()) - len(shown)
    heads = ("FILE", "OWNER", "STATE", "SAFE", "SPEED", "LAST BYTE", "ID")
    table = _table(heads, rows)
    if left > 0:
        table.add_row(f"{left} more")
    elif not rows:
        table.add_row("no uploads")
    return table


def _paths(paths: Iterable[Facts]) -> Table:
    rows = [
        (
            path["host"],
            "" if path["passes"] is None else size(path["passes"]),
            "" if path["refuses"] is None else size(path["refuses"]),
            path["refused_by"] or "",
            f"{path['owners']}{', confirmed' if path['confirmed'] else ''}"
            if path["refuses"] is not None
            else "",
        )
        for path in paths
    ]
    return _table(("HOST", "PASSES", "REFUSES", "BY", "OWNERS REFUSED"), rows)


def _ended(ended: Iterable[Facts]) -> Table:
    rows = [
        (
            upload["filename"],
            upload["owner"],
            upload["state"],
            upload["failure"] or "",
            upload["created_at"],
            upload["upload_id"],
        )
        for upload in ended
    ]
    return _table(("ENDED WITHOUT A FILE", "OWNER", "STATE", "REASON", "BEGUN", "ID"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title=" ")
    for number, head in enumerate(heads):
        # Where it is narrow, names are cut before numbers and states are.
        table.add_column(
            head, no_wrap=True, overflow="ellipsis", min_width=12 if number == 0 else None
        )
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def _state(upload: Facts) -> str:
    position = upload["position"]
    return upload["state"] if position is None else f"{position} in the queue"


def _received(upload: Facts) -> str:
    safe, whole = upload["received_bytes"], upload["size"]
    if not whole:
        return size(safe)
    return f"{100 * safe // whole:3} % of {size(whole)}"


def _speed(speed: float | None) -> str:
    return "" if speed is None else f"{size(int(speed))}/s"


def _ago(moment: str | None, overview: Any) -> str:
    """How long ago by the server's clock: `12 s`, `3 min`."""
    if moment is None:
        return ""
    seconds = max((_date(overview["at"]) - _date(moment)).total_seconds(), 0.0)
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _date(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
