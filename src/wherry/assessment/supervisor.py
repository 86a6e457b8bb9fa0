"""Keeps one worker running beside a server, and says how it is.

Rule 1: the worker dies with the server: its standard input is a pipe that
closes, even when the server is killed.

Rule 2: a worker that dies is started again, ever more slowly if it dies at once.

Rule 3: how the worker is, is a state (`core/worker.py`). It is told to whoever asked for
it (`tell`), and logged when it changes.
"""

from __future__ import annotations

import asyncio
import signal
import time
from asyncio import sleep
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from wherry.assessment.standing import cause_of, parse_said, plain_cause
from wherry.core.worker import HEALTHY, STEADY, Worker, WorkerState
from wherry.events import Event, log_event
from wherry.metrics import Metrics

#: How long the worker may take to end, in seconds. It ends itself a little earlier; with the
#: time that the server gives to open requests before, all is over within five seconds.
GRACE = 2.5
#: How long it may take to begin to work, in seconds. What raises is told much earlier.
START_WITHIN = 60.0

Tell = Callable[[Worker], None]


class Supervisor:
    """An asynchronous context in which `command` is kept running.

    `tell` hears of each change of the worker's state; it may raise `OSError`.
    """

    def __init__(
        self,
        command: Sequence[str],
        tell: Tell = lambda worker: None,
        metrics: Metrics | None = None,
    ) -> None:
        self._command = tuple(command)
        self._tell = tell
        self._metrics = metrics or Metrics()
        self._keeping: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._last_words: str | None = None
        self.worker = Worker(since=time.time())

    @property
    def pid(self) -> int | None:
        """The worker's process, None while there is none."""
        return None if self._process is None else self._process.pid

    async def __aenter__(self) -> Self:
        self._pass_on()
        self._keeping = asyncio.create_task(self._keep_running())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None
            # What was wrong here need not be wrong for the next server.
            self.worker = Worker(since=time.time())
            self._pass_on()

    async def _keep_running(self) -> None:
        while True:
            try:
                cause, by_itself = await self._run_once()
            except Exception as error:  # whatever it is, the next start may go well
                log_event(Event.BACKGROUND_FAILED, metrics=self._metrics, trace=True)
                cause, by_itself = cause_of(error), True
            self._become(self.worker.die(cause, time.time(), by_itself))
            await sleep(self.worker.pause)

    async def _run_once(self) -> tuple[str, bool]:
        """Run it to its end, and say why it ended, and whether by itself."""
        self._last_words = None
        try:
            # In a session of its own: Ctrl-C is for the server, which then closes the pipe.
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, start_new_session=True
            )
        except OSError as error:
            problem = error.strerror or type(error).__name__
            log_event(Event.WORKER_NOT_STARTED, metrics=self._metrics, problem=problem)
            return problem, True
        self._process = process
        self._expect(START_WITHIN, lambda: self._hear(_LATE))
        listening = asyncio.create_task(self._listen(process))
        try:
            code = await process.wait()
            # Its last words are in the pipe, and then its end.
            await asyncio.wait({listening}, timeout=1.0)
        finally:
            self._stop_timers()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await _end(process, self._metrics)
            self._process = None
        log_event(Event.WORKER_DIED, metrics=self._metrics, code=code)
        return self._last_words or _what_ended_it(code), code >= 0

    async def _listen(self, process: Process) -> None:
        """Hear what the worker says of itself until it says no more."""
        if process.stdout is None:
            return
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line without an end is nothing of the worker's
                continue
            if not line:
                return
            if (said := parse_said(line)) is not None:
                self._hear(*said)

    def _hear(self, problem: str | None) -> None:
        now = time.time()
        self._stop_timers()
        if problem is not None:
            self._last_words = plain_cause(problem)
            if self.worker.is_at_work or problem is _LATE:
                self._become(self.worker.struggle(self._last_words, now))
            return
        self._last_words = None
        self._become(self.worker.work(now))
        self._expect(STEADY, lambda: self._become(self.worker.recover(time.time())))
        self._expect(HEALTHY, lambda: self._become(self.worker.prosper()))

    def _expect(self, seconds: float, act: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, act))

    def _stop_timers(self) -> None:
        while self._timers:
            self._timers.pop().cancel()

    def _become(self, worker: Worker) -> None:
        before, self.worker = self.worker, worker
        if (worker.state, worker.problem) == (before.state, before.problem):
            return
        failing = WorkerState.FAILING
        if worker.state is failing and before.state is not failing:
            log_event(Event.WORKER_FAILING, metrics=self._metrics, problem=worker.problem)
        elif before.state is failing:
            log_event(Event.WORKER_RECOVERED, metrics=self._metrics)
        self._pass_on()

    def _pass_on(self) -> None:
        try:
            self._tell(self.worker)
        except Exception:  # who cannot be told keeps no worker from running
            log_event(Event.BACKGROUND_FAILED, metrics=self._metrics, trace=True)


_LATE = f"it has not begun to work within {START_WITHIN:.0f} seconds"


def _what_ended_it(code: int) -> str:
    """For a worker that said nothing itself."""
    if code >= 0:
        return f"it ended with code {code}; what it said stands in the server's log"
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
        await asyncio.wait_for(process.wait(), GRACE)
    except TimeoutError:
        log_event(Event.WORKER_KILLED, metrics=metrics, pid=process.pid)
        process.kill()
        await process.wait()
