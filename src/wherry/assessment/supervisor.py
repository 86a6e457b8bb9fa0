"""Keeps one worker running beside a server, and publishes its state.

Rule 1: the worker dies with the server: its standard input is a pipe that
closes, even when the server is killed.

Rule 2: a worker that dies is started again, with longer pauses if it dies at once.

Rule 3: the state of the worker (`core/worker.py`) is published and logged when it changes.
"""

from __future__ import annotations

import asyncio
import signal
import time
from asyncio import sleep
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from wherry.assessment.worker_status import cause_of, parse_problem, printable_cause
from wherry.core.worker import HEALTHY_AFTER, STEADY_AFTER, Worker, WorkerState
from wherry.events import Event, log_event
from wherry.metrics import Metrics

#: How long the worker may take to end, in seconds, before it is killed. It ends itself a little
#: earlier (`lifetime.EXIT_TIMEOUT`).
STOP_TIMEOUT = 2.5
#: How long the worker may take to start, in seconds. A start that raises is reported at once.
START_TIMEOUT = 60.0

Publish = Callable[[Worker], None]


class Supervisor:
    """An asynchronous context that keeps `command` running.

    `publish` is called at each change of the worker's state. What it raises is logged.
    """

    def __init__(
        self,
        command: Sequence[str],
        publish: Publish = lambda worker: None,
        metrics: Metrics | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`environment`: of the worker; None: the same as here."""
        self._command, self._environment = tuple(command), environment
        self._publish = publish
        self._metrics = metrics or Metrics()
        self._task: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._last_problem: str | None = None
        self.worker = Worker(since=time.time())

    @property
    def pid(self) -> int | None:
        """The worker's process, None while there is none."""
        return None if self._process is None else self._process.pid

    async def __aenter__(self) -> Self:
        self._publish_worker()
        self._task = asyncio.create_task(self._keep_running())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            # A problem of this server need not be one of the next.
            self.worker = Worker(since=time.time())
            self._publish_worker()

    async def _keep_running(self) -> None:
        while True:
            try:
                cause, by_itself = await self._run_once()
            except Exception as error:  # the next start may succeed
                log_event(Event.BACKGROUND_FAILED, metrics=self._metrics, trace=True)
                cause, by_itself = cause_of(error), True
            self._set_worker(self.worker.die(cause, time.time(), by_itself))
            await sleep(self.worker.restart_delay)

    async def _run_once(self) -> tuple[str, bool]:
        """Run the worker until it ends; the cause, and whether it ended by itself."""
        self._last_problem = None
        try:
            # In a session of its own: Ctrl-C is for the server, which then closes the pipe.
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                start_new_session=True,
                env=self._environment,
            )
        except OSError as error:
            problem = error.strerror or type(error).__name__
            log_event(Event.WORKER_NOT_STARTED, metrics=self._metrics, problem=problem)
            return problem, True
        self._process = process
        self._call_later(START_TIMEOUT, lambda: self._receive(_NOT_STARTED))
        listening = asyncio.create_task(self._read_problems(process))
        try:
            code = await process.wait()
            # Read the rest of the pipe: the last problem may be in it.
            await asyncio.wait({listening}, timeout=1.0)
        finally:
            self._stop_timers()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await _end(process, self._metrics)
            self._process = None
        log_event(Event.WORKER_DIED, metrics=self._metrics, code=code)
        return self._last_problem or _cause_of_exit(code), code >= 0

    async def _read_problems(self, process: Process) -> None:
        """Read the worker's lines until the pipe is closed."""
        if process.stdout is None:
            return
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # too long to be a line of the worker
                continue
            if not line:
                return
            if (problem := parse_problem(line)) is not None:
                self._receive(*problem)

    def _receive(self, problem: str | None) -> None:
        now = time.time()
        self._stop_timers()
        if problem is not None:
            self._last_problem = printable_cause(problem)
            if self.worker.is_working or problem is _NOT_STARTED:
                self._set_worker(self.worker.fail(self._last_problem, now))
            return
        self._last_problem = None
        self._set_worker(self.worker.work(now))
        self._call_later(STEADY_AFTER, lambda: self._set_worker(self.worker.recover(time.time())))
        self._call_later(HEALTHY_AFTER, lambda: self._set_worker(self.worker.forget_deaths()))

    def _call_later(self, seconds: float, act: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, act))

    def _stop_timers(self) -> None:
        while self._timers:
            self._timers.pop().cancel()

    def _set_worker(self, worker: Worker) -> None:
        before, self.worker = self.worker, worker
        if (worker.state, worker.problem) == (before.state, before.problem):
            return
        failing = WorkerState.FAILING
        if worker.state is failing and before.state is not failing:
            log_event(Event.WORKER_FAILING, metrics=self._metrics, problem=worker.problem)
        elif before.state is failing:
            log_event(Event.WORKER_RECOVERED, metrics=self._metrics)
        self._publish_worker()

    def _publish_worker(self) -> None:
        try:
            self._publish(self.worker)
        except Exception:  # a state that cannot be published must not stop the worker
            log_event(Event.BACKGROUND_FAILED, metrics=self._metrics, trace=True)


_NOT_STARTED = f"it has not begun to work within {START_TIMEOUT:.0f} seconds"


def _cause_of_exit(code: int) -> str:
    """The cause for a worker that sent no problem."""
    if code >= 0:
        return f"it ended with code {code}; see the server's log"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"


async def _end(process: Process, metrics: Metrics) -> None:
    """Close the pipe and wait; kill it if it does not end in time."""
    if process.returncode is not None:
        return
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
    except TimeoutError:
        log_event(Event.WORKER_KILLED, metrics=metrics, pid=process.pid)
        process.kill()
        await process.wait()
