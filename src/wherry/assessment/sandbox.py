"""Runs one step over one file in a child that may be killed at any time.

Rule 1: whatever the child does, `Sandbox.run` returns an `Outcome` in time: a
crash, a hang, too much memory, garbage on its output are problems with a name,
never an exception in the worker.

Rule 2: after `run` has returned, or the worker has died, no process of the step
is left.

Rule 3: `Interrupted` means that the step has no result: the worker ends, or cannot have the file.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

from wherry.assessment.child import Request
from wherry.assessment.confine import Bounds
from wherry.assessment.json_safe import check_json_safe
from wherry.assessment.partial_copy import SCRATCH, Interrupted, Partial
from wherry.assessment.questions import NoQuestion, Questions

#: The longest answer of a step, in bytes.
LONGEST_ANSWER = 4 * 1024 * 1024
READ_ONLY = os.O_RDONLY | os.O_CLOEXEC
#: How often a step is run if its process is killed from outside, for example for its memory.
RUNS = 2
#: The names that a step may give its pictures.
ARTEFACT = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}\.(jpg|png|vtt)")
#: Environment variables that a child may see.
ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a step has no result.

    `timeout`, `crashed`, `killed`, `memory`, `garbage`, `error`; `worker-died` and `not-begun` if
    it is given up (`workflow`).
    """

    kind: str
    message: str


LATE = Problem("timeout", "it exceeded its time limit and was ended")
TOO_LONG = Problem("garbage", f"its answer has more than {LONGEST_ANSWER} bytes")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a step: a result or a problem, and its seconds of wall clock."""

    seconds: float
    result: Mapping[str, Any] | None = None
    problem: Problem | None = None
    confined: tuple[str, ...] = ()


@dataclass(slots=True)
class Sandbox:
    """All children of this worker. Its methods block and may be called on any thread."""

    _children: set[int] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)
    _closed: bool = False

    def run(
        self,
        step: str,
        file: Path | Partial,
        scratch: Path,
        keep: Callable[[str, bytes], None],
        bounds: Bounds,
        *,
        by_ranges: bool = False,
    ) -> Outcome:
        """Run the callable `step`, a `module:name`, over `file`.

        It draws in a folder of its own below `scratch`. `keep(name, data)` gets each picture
        that the result names. `by_ranges`: of a partial file, it gets the bytes that it asks for,
        while it runs; else all are there before it begins.

        Raises `Interrupted` when `close` was called, or bytes cannot be had, and nothing else.
        """
        path, copy = (file, None) if isinstance(file, Path) else (file.path, file)
        if copy is not None and not by_ranges:
            copy.fetch_all()
        began = time.monotonic()
        try:
            descriptor = os.open(path, READ_ONLY) if copy is None else copy.open()
        except OSError as error:
            problem = Problem("error", f"the file cannot be opened: {error.strerror}")
            return Outcome(0.0, problem=problem)
        request = Request(step, str(path.absolute()), descriptor, os.getpid(), 0.0, bounds)
        try:
            outcome = self._try(request, copy if by_ranges else None, scratch, keep)
        except OSError as error:
            outcome = Outcome(0.0, problem=Problem("error", f"the step cannot run: {error}"))
        finally:
            os.close(descriptor)
        seconds = round(time.monotonic() - began, 3)
        return Outcome(seconds, outcome.result, outcome.problem, outcome.confined)

    def close(self) -> None:
        """End every child now; every `run` raises `Interrupted`."""
        with self._lock:
            self._closed = True
            for pid in self._children:
                _kill_group(pid)

    def _try(
        self,
        request: Request,
        copy: Partial | None,
        scratch: Path,
        keep: Callable[[str, bytes], None],
    ) -> Outcome:
        outcome = Outcome(0.0)
        for _ in range(RUNS):
            scratch.mkdir(parents=True, exist_ok=True)
            # A crash here leaves a folder that is never read; `remove_scratch` removes it.
            with _scratch(scratch) as folder:
                deadline = time.monotonic() + request.bounds.seconds
                outcome = self._once(replace(request, deadline=deadline), copy, folder)
                if outcome.result is not None:
                    outcome = _keep_pictures(outcome, folder, keep)
            if outcome.problem is None or outcome.problem.kind != "killed":
                break
        return outcome

    def _once(self, request: Request, copy: Partial | None, folder: Path) -> Outcome:
        with ExitStack() as stack:
            questions = None
            if copy is not None:
                questions = stack.enter_context(closing(Questions(copy)))
                request = replace(request, channel=questions.theirs.fileno())
            process, output = stack.enter_context(self._child(request, folder))
            if questions is not None:
                questions.theirs.close()
            answer, problem = _listen(process, output, request.deadline, questions)
        if self._closed:
            raise Interrupted
        if problem is None:
            problem = _why(process.returncode) if not answer else None
        if problem is not None:
            return Outcome(0.0, problem=problem)
        return parse_answer(answer)

    @contextmanager
    def _child(
        self, request: Request, folder: Path
    ) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """A running child and its output; afterwards it and all that it started are gone."""
        output, into = os.pipe()
        try:
            process = self._start(request, folder, into)
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(into)
        try:
            yield process, output
        finally:
            os.close(output)
            with self._lock:
                # Before `wait`: until then no other process can have this process id.
                _kill_group(process.pid)
                self._children.discard(process.pid)
            process.wait()

    def _start(self, request: Request, folder: Path, into: int) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise Interrupted
            process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-m", "wherry.assessment.child", request.render()],
                stdin=subprocess.DEVNULL,
                stdout=into,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env=_environment(),
                pass_fds=[
                    number for number in (request.descriptor, request.channel) if number is not None
                ],
                start_new_session=True,
            )
            self._children.add(process.pid)
            return process


def _kill_group(pid: int) -> None:
    # macOS does not find, or not allow to signal, a group whose leader has just ended.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    # The child imports what the worker can import, and nothing from its own folder.
    folders = os.pathsep.join(folder for folder in sys.path if folder)
    return {**kept, "PYTHONPATH": folders, "PYTHONDONTWRITEBYTECODE": "1"}


def _listen(
    process: subprocess.Popen[bytes], output: int, deadline: float, questions: Questions | None
) -> tuple[bytes, Problem | None]:
    """The child's answer once it has ended, or the reason to wait no longer.

    The time in which storage is read for it does not count against the deadline.
    """
    answer = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        if questions is not None:
            deadline -= questions.copy.waited
            selector.register(questions, selectors.EVENT_READ)
        while True:
            late = deadline + (questions.copy.waited if questions is not None else 0.0)
            ready = [key.fileobj for key, _ in selector.select(max(late - time.monotonic(), 0))]
            if not ready:
                return b"", LATE
            if questions is not None and questions in ready:
                try:
                    if not questions.answer():
                        selector.unregister(questions)
                except NoQuestion:
                    return b"", Problem("garbage", "it asked for what is not of its file")
            if output in ready:
                block = os.read(output, 65_536)
                answer += block
                if len(answer) > LONGEST_ANSWER:
                    return b"", TOO_LONG
                if not block:
                    break
    while not _has_ended(process):
        if time.monotonic() > late:
            return b"", LATE
        time.sleep(0.002)
    return bytes(answer), None


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    if hasattr(os, "waitid"):
        # Looks without taking: the number stays the child's own.
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, process.pid, flags) is not None
    return process.poll() is not None


def _why(code: int) -> Problem:
    """What an exit code without an answer means."""
    if code == -signal.SIGKILL:
        return Problem("killed", "its process was killed, perhaps because memory ran out")
    if code == -signal.SIGXCPU:
        return Problem("timeout", "it exceeded its processor time")
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        return Problem("crashed", f"its process crashed with {name}")
    return Problem("crashed", f"its process ended with code {code}")


def parse_answer(answer: bytes) -> Outcome:
    """The child's document, or a problem `garbage`; never raises."""
    try:
        document = json.loads(answer, parse_constant=_refuse)
        check_json_safe(document)
        confined = tuple(str(name) for name in document.get("confined", ()))
        if "problem" in document:
            kind, message = document["problem"]["kind"], document["problem"]["message"]
            problem = Problem(kind if kind in ("memory", "error") else "error", str(message)[:500])
            return Outcome(0.0, problem=problem, confined=confined)
        result = document["result"]
        if not isinstance(result, dict):
            raise TypeError("the result is no object")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Outcome(0.0, problem=Problem("garbage", "its answer is not valid"))
    return Outcome(0.0, result=result, confined=confined)


def _refuse(name: str) -> None:
    raise ValueError(name)


# Pictures.


@contextmanager
def _scratch(scratch: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=scratch))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_scratch(scratch: Path) -> None:
    """Remove what steps left behind that died with their worker, and the folder if it is empty."""
    for folder in scratch.glob(f"{SCRATCH}*"):
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # it is not there, or pictures are kept in it
        scratch.rmdir()


def _keep_pictures(outcome: Outcome, folder: Path, keep: Callable[[str, bytes], None]) -> Outcome:
    """Hand over the pictures that the result names."""
    named = (outcome.result or {}).get("artefacts", [])
    try:
        names = [artefact["name"] for artefact in named]
        for name in names:
            if not ARTEFACT.fullmatch(name) or not _is_plain_file(folder / name):
                raise ValueError(name)
    except (KeyError, TypeError, ValueError):
        problem = Problem("garbage", "it names pictures that it did not make")
        return Outcome(0.0, problem=problem, confined=outcome.confined)
    for name in names:
        # Bounded: the step may write no file longer than `Bounds.file_size`.
        # A crash here leaves some of the pictures; the step is run again and replaces them.
        keep(name, (folder / name).read_bytes())
    return outcome


def _is_plain_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
