"""How the command line shows uploads that run: a bar for a large file, lines for anything else."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from wherry.cli.sizes import size
from wherry.client import Assessment, EarlyVerdict, Progress


def new_console() -> Console:
    return Console(stderr=True, highlight=False, markup=False)


class Screen:
    """A progress bar on a terminal, else lines. Both go to stderr.

    `prefix`: of each line about a file, which has no bar then. It is one of several at once.
    `is_quiet`: nothing is shown but what is said of a failure.
    """

    def __init__(
        self, console: Console | None = None, prefix: str = "", *, is_quiet: bool = False
    ) -> None:
        self._console = console or new_console()
        self._prefix = prefix
        self._is_quiet = is_quiet
        self._bar: Bar | None = None
        self._refused: int | None = None
        self._said: set[str] = set()
        self._steps: dict[str, str] = {}

    def following(self, name: str) -> Self:
        self._refused, self._said, self._steps = None, set(), {}
        if self._prefix or self._is_quiet:
            return self
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[facts]}", markup=False),
            console=self._console,
        )
        self._bar.add_task(printable(name), total=None, facts="starting")
        return self

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def say(self, line: str) -> None:
        self._console.print(printable(line), soft_wrap=True)

    def _say_once(self, fact: str, line: str) -> None:
        if fact not in self._said:
            self._said.add(fact)
            self.say(line)

    def show(self, now: Progress) -> None:
        """Called on the client's thread."""
        if self._is_quiet:
            return
        if now.refused_size not in (None, self._refused):
            self._refused = now.refused_size
            self.say(self._prefix + render_refusal(now))
        if now.problem:
            self._say_once(now.problem, f"{self._prefix}{now.state}: {now.problem}")
        if now.position is not None and not (self._bar and self._console.is_terminal):
            # No bar is drawn here, and the wait may be long.
            position = f"position {now.position} in the queue"
            self._say_once(position, f"{self._prefix}waiting: {position}")
        if self._bar is None:
            return
        # An empty file is complete from the beginning.
        total, safe = now.bytes_total or 1, now.bytes_safe if now.bytes_total else 1
        self._bar.update(
            self._bar.task_ids[0], total=total, completed=safe, facts=render_facts(now)
        )

    def show_early(self, early: EarlyVerdict) -> None:
        """What the report will find, told before the upload is complete."""
        found = [one for one in early.findings if one.severity != "info"]
        if self._is_quiet or not found:
            return
        for one in found:
            self.say(f"{self._prefix}early verdict {one.severity.upper()}: {one.message}")
        self.say(f"{self._prefix}the upload goes on; the report will say the same")

    def show_steps(self, assessment: Assessment) -> None:
        for step in () if self._is_quiet else assessment.steps:
            if step.state != "waiting" and self._steps.get(step.name) != step.state:
                self._steps[step.name] = step.state
                seconds = "" if step.seconds is None else f" {step.seconds:.1f} s"
                self.say(f"  {self._prefix}{step.name}: {step.state}{seconds}")


def render_refusal(now: Progress) -> str:
    return (
        f"refused on the way: {size(now.refused_size or 0)} in one request;"
        f" trying {size(now.chunk_size or 0)}"
    )


def render_facts(now: Progress) -> str:
    """The text after the bar."""
    facts = [f"{size(now.bytes_safe)} of {size(now.bytes_total)} safe"]
    if now.state == "sending":
        if now.speed:
            facts.append(f"{size(int(now.speed))}/s")
        if now.seconds_left is not None:
            minutes, seconds = divmod(int(now.seconds_left), 60)
            facts.append(f"{minutes}:{seconds:02} left")
        return ", ".join(facts)
    facts.append(now.state)
    if now.position is not None:
        facts.append(f"position {now.position} in the queue")
    if now.retry_after and now.retry_after >= 1:
        facts.append(f"next try in {now.retry_after:.0f} s")
    return ", ".join(facts)


def printable(line: str) -> str:
    """Replace what a terminal would obey: file names and servers' texts may hold anything."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in line)
