"""What runs beside requests: each second in every process, and the sweep in one of them.

Rule 1: nothing here ends a loop. What fails is logged and tried again at the next round.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from wherry.engine.admitting import Admitting
from wherry.engine.completing import Completing
from wherry.engine.context import Context
from wherry.engine.joining import Joining
from wherry.engine.paths import KnownPaths
from wherry.engine.stopping import time_for_requests
from wherry.engine.sweeping import Sweeping
from wherry.engine.writing import Writing
from wherry.events import Event

#: How often each process does what `_poll` does, in seconds.
POLL_INTERVAL = 1.0
#: How often it is checked whether the server is stopping, in seconds.
CHECK_INTERVAL = 0.25


class Background:
    def __init__(
        self,
        context: Context,
        admitting: Admitting,
        writing: Writing,
        completing: Completing,
        sweeping: Sweeping,
        *,
        joining: Joining,
        paths: KnownPaths,
    ) -> None:
        self._context = context
        self._admitting = admitting
        self._writing = writing
        self._completing = completing
        self._sweeping = sweeping
        self._joining = joining
        self._paths = paths
        self._stopping_since: float | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """What every process does; at the end its completions stop and can be resumed."""
        try:
            async with (
                self._beside(POLL_INTERVAL, self._poll),
                self._beside(CHECK_INTERVAL, self._end_requests),
            ):
                yield
        finally:
            # Only now: the loop above would resume at once what is given back here.
            await self._joining.stop()
            await self._completing.stop()
            await self._keep_paths()

    @asynccontextmanager
    async def sweeping(self) -> AsyncIterator[None]:
        """What one process does for all."""
        async with self._beside(self._context.settings.sweep_every, self._tidy):
            yield

    async def _tidy(self) -> None:
        await self._sweeping.tidy()
        with self._context.isolated(Event.BACKGROUND_FAILED, task="go on joining uploads"):
            await self._joining.resume()

    async def _poll(self) -> None:
        isolated = self._context.isolated
        with isolated(Event.BACKGROUND_FAILED, task="end superseded requests"):
            await self._writing.end_superseded()
        with isolated(Event.BACKGROUND_FAILED, task="keep what is active"):
            await self._writing.keep_active()
        await self._keep_paths()
        if self._context.is_stopping():
            return  # begin nothing new
        with isolated(Event.BACKGROUND_FAILED, task="resume completions"):
            await self._completing.resume()
        with isolated(Event.BACKGROUND_FAILED, task="advance the queue"):
            await self._admitting.advance()

    async def _keep_paths(self) -> None:
        with self._context.isolated(Event.BACKGROUND_FAILED, task="keep what passes at each host"):
            await self._paths.keep()

    async def _end_requests(self) -> None:
        """When the server has been stopping for some time, end the requests that last.

        Before the server cancels them: a cancelled request records nothing, and its client gets
        no answer that says what to do.
        """
        if not self._context.is_stopping():
            self._stopping_since = None
            return
        now = anyio.current_time()
        if self._stopping_since is None:
            self._stopping_since = now
        if now - self._stopping_since >= time_for_requests(self._context.settings.grace_period):
            self._completing.answer_now()
            await self._writing.end_all()

    @asynccontextmanager
    async def _beside(
        self, seconds: float, act: Callable[[], Awaitable[object]]
    ) -> AsyncIterator[None]:
        task = asyncio.create_task(self._every(seconds, act))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _every(self, seconds: float, act: Callable[[], Awaitable[object]]) -> None:
        while True:
            with self._context.isolated(Event.BACKGROUND_FAILED):
                await act()
            await anyio.sleep(seconds)
