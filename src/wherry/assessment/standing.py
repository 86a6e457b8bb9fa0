"""How the worker is, from the one who knows to all who want to know.

    worker ──a line on its standard output──▶ supervisor ──`worker.json`──▶ every web process

Rule 1: one server keeps the worker and writes the file; all processes on the folder read it.

Rule 2: a worker that somebody started by hand is kept by nobody. It holds a lock while it
works, which ends with its process. While one does, assessments are done, whatever became of
the server's own.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from wherry.core.worker import Worker, WorkerState

#: What the extra `assessment` installs.
EXTRA = ("dbos", "av")
#: How much of a cause is told, in letters.
TEXT = 300

#: What a worker says: None while it works, or why it cannot.
Say = Callable[[str | None], None]


def say_to_supervisor(problem: str | None) -> None:
    """One line on the standard output, which is the server's pipe."""
    with suppress(OSError):  # the server is gone, and so is whoever would want to know
        os.write(1, f"{json.dumps({'problem': problem})}\n".encode())


@contextmanager
def last_words(is_kept: bool) -> Iterator[None]:
    """A worker that a server keeps says why it ends, where it ends by an error."""
    try:
        yield
    except Exception as error:
        if is_kept:
            say_to_supervisor(cause_of(error))
        raise


def parse_said(line: bytes) -> tuple[str | None] | None:
    """What a worker said in this line, as a tuple of one; None if it is something else."""
    try:
        problem = json.loads(line)["problem"]
    except (ValueError, TypeError, KeyError):
        return None
    return (problem,) if problem is None or isinstance(problem, str) else None


def cause_of(error: BaseException) -> str:
    """The first line of what an error says, for a person; what is not installed, with how."""
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRA:
        return f"{error.name} is not installed: pip install 'wherry[assessment]'"
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return plain_cause(said or type(error).__name__)


def plain_cause(text: str) -> str:
    """As a sentence may have it: one line, nothing that a terminal obeys."""
    return "".join(letter for letter in text if letter.isprintable())[:TEXT]


class ByHand:
    """What a worker by hand says, with the lock; call it as `Say`."""

    def __init__(self, data: Path) -> None:
        self._path = _lock_of(data)
        self._held: int | None = None

    def __call__(self, problem: str | None) -> None:
        if problem is None and self._held is None:
            self._held = _open(self._path)
            # Whoever looks holds it for no time at all.
            fcntl.flock(self._held, fcntl.LOCK_SH)
        elif problem is not None and self._held is not None:
            os.close(self._held)
            self._held = None


class Standing:
    """How the worker over this data folder is. Its methods block."""

    def __init__(self, data: Path) -> None:
        self._data, self._file = data, data / "worker.json"

    def write(self, worker: Worker) -> None:
        """Tell all processes. Raises `OSError`."""
        facts = {**asdict(worker), "state": worker.state.value}
        beside = self._file.with_suffix(f".{os.getpid()}.tmp")
        beside.write_text(json.dumps(facts), encoding="utf-8")
        # A crash here leaves a small file, which the next one with this number replaces.
        beside.replace(self._file)

    def read(self) -> Worker:
        """As it was told last; a worker by hand counts for more."""
        told = self._told()
        if told.state is not WorkerState.WORKING and _is_held(_lock_of(self._data)):
            return Worker(WorkerState.WORKING, told.since)
        return told

    def _told(self) -> Worker:
        try:
            facts = json.loads(self._file.read_text(encoding="utf-8"))
            return Worker(**{**facts, "state": WorkerState(facts["state"])})
        except (OSError, ValueError, TypeError, KeyError):
            # Nobody has told yet, or a newer Wherry tells it in its own way.
            return Worker()


def _lock_of(data: Path) -> Path:
    return data / "worker-by-hand.lock"


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
