"""The worker's state, passed from the worker to every web process.

    worker ──a line on its standard output──▶ supervisor ──`worker.json`──▶ every web process

Rule 1: the server that supervises the worker writes the file; all processes of the data
folder read it.

Rule 2: a worker that was started by hand has no supervisor. While it works it holds a lock,
which ends with its process. While such a lock is held, the state is "working", whatever the
state of the server's own worker is.
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
#: The longest cause that is passed on, in characters.
LONGEST_CAUSE = 300

#: Called by a worker with None when it works, or with the reason why it cannot.
OnProblem = Callable[[str | None], None]


def send_problem(problem: str | None) -> None:
    """Write one line to the standard output, which is a pipe to the server."""
    with suppress(OSError):  # the server is gone, and with it the reader
        os.write(1, f"{json.dumps({'problem': problem})}\n".encode())


@contextmanager
def sending_fatal_error(is_kept: bool) -> Iterator[None]:
    """Send the error that ends a supervised worker to its server."""
    try:
        yield
    except Exception as error:
        if is_kept:
            send_problem(cause_of(error))
        raise


def parse_problem(line: bytes) -> tuple[str | None] | None:
    """The problem in this line, as a tuple of one; None if it is no such line."""
    try:
        problem = json.loads(line)["problem"]
    except (ValueError, TypeError, KeyError):
        return None
    return (problem,) if problem is None or isinstance(problem, str) else None


def cause_of(error: BaseException) -> str:
    """The first line of the error's message; for a missing extra, how to install it."""
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRA:
        return f"{error.name} is not installed: pip install 'wherry[assessment]'"
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return printable_cause(line or type(error).__name__)


def printable_cause(text: str) -> str:
    """`text` without line breaks and control characters, cut to `LONGEST_CAUSE`."""
    return "".join(letter for letter in text if letter.isprintable())[:LONGEST_CAUSE]


class ManualWorkerStatus:
    """Holds the lock of a worker started by hand while it works; call it as `OnProblem`."""

    def __init__(self, data: Path) -> None:
        self._path = _lock_of(data)
        self._held: int | None = None

    def __call__(self, problem: str | None) -> None:
        if problem is None and self._held is None:
            self._held = _open(self._path)
            # Shared: several such workers may run. A reader holds the lock only for a moment.
            fcntl.flock(self._held, fcntl.LOCK_SH)
        elif problem is not None and self._held is not None:
            os.close(self._held)
            self._held = None


class WorkerStatus:
    """The state of the worker of this data folder. Its methods block."""

    def __init__(self, data: Path) -> None:
        self._data, self._file = data, data / "worker.json"

    def write(self, worker: Worker) -> None:
        """Store the state for all processes. Raises `OSError`."""
        facts = {**asdict(worker), "state": worker.state.value}
        beside = self._file.with_suffix(f".{os.getpid()}.tmp")
        beside.write_text(json.dumps(facts), encoding="utf-8")
        # A crash here leaves a small file, which the next one with this number replaces.
        beside.replace(self._file)

    def read(self) -> Worker:
        """The last stored state; "working" while a worker started by hand works."""
        stored = self._stored()
        if stored.state is not WorkerState.WORKING and _is_held(_lock_of(self._data)):
            return Worker(WorkerState.WORKING, stored.since)
        return stored

    def _stored(self) -> Worker:
        try:
            facts = json.loads(self._file.read_text(encoding="utf-8"))
            return Worker(**{**facts, "state": WorkerState(facts["state"])})
        except (OSError, ValueError, TypeError, KeyError):
            # Nothing is stored yet, or a newer Wherry has stored it in another format.
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
