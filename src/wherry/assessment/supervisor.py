"""Keeps one worker running beside a server.

Rule 1: the worker dies with the server: its standard input is a pipe that
closes, even when the server is killed.

Rule 2: a worker that dies is started again, ever more slowly if it dies at once.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import sleep
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

log = logging.getLogger("wherry.assessment")

#: How long the worker may take to end, in seconds. It ends itself a little earlier; with the
#: time that the server gives to open requests before, all is over within five seconds.
GRACE = 2.5
#: Seconds between two starts: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: A worker that lived this long died of something new, in seconds.
HEALTHY = 60.0


class Supervisor:
    """An asynchronous context in which `command` is kept running."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self._keeping: asyncio.Task[None] | None = None
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process, None while there is none."""
        return None if self._process is None else self._process.pid

    async def __aenter__(self) -> Self:
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

    async def _keep_running(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        while True:
            began = loop.time()
            try:
                code = await self._run_once()
                log.error("worker-died code=%s", code)
            except OSError as error:
                log.error("worker-not-started problem=%s", error.strerror)
            if loop.time() - began > HEALTHY:
                pause = FIRST_PAUSE
            await sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _run_once(self) -> int:
        # In a session of its own: Ctrl-C is for the server, which then closes the pipe.
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, start_new_session=True
        )
        try:
            return await self._process.wait()
        finally:
            await _end(self._process)
            self._process = None


async def _end(process: Process) -> None:
    """Close the pipe and wait; kill it if it does not end in time."""
    if process.returncode is not None:
        return
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), GRACE)
    except TimeoutError:
        log.error("worker-killed pid=%s", process.pid)
        process.kill()
        await process.wait()
