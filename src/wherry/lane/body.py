"""One body that was taken from its connection, as the engine sees it.

Rule 1: bytes that the sink has not received stay in place: after a cancelled or failed `pour`, they
go to the next `pour`, or back to the connection.

Rule 2: a client that waits for "100 Continue" is asked for the body when the first call before it
has not refused it.

Rule 3: a client has stalled by the same rule as on the ordinary path (`protocols/bodies/asgi.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

import anyio

from wherry.body import Ended, First, Sink
from wherry.core.errors import UploadError
from wherry.lane.reading import Reading
from wherry.protocols.bodies.source import Form
from wherry.threads import until_returned

#: How often a client whose time is over is checked while its bytes wait for a thread, in seconds.
POLL_INTERVAL = 1.0


class LaneBody:
    """A `RequestBody`. Use it by `async with`: leaving it gives the socket back."""

    form: Form | None = None
    is_announced = True

    def __init__(
        self,
        reading: Reading,
        timeout: float,
        give_back: Callable[[Reading], None],
        ask: Callable[[], None] | None,
    ) -> None:
        """`ask` sends "100 Continue". None: the client does not wait for it."""
        self._ask = ask
        self._reading = reading
        self._timeout = timeout
        self._give_back = give_back
        self._loop = asyncio.get_running_loop()
        self._turn: _Turn | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def remaining(self) -> int:
        return self._reading.remaining

    @property
    def is_whole(self) -> bool:
        return self._reading.ended is Ended.WHOLE

    async def bound(self, most: int, beyond: UploadError) -> None:
        """Does nothing, because the length of a body that takes the lane is announced."""

    async def gather(self, most: int) -> Sequence[memoryview] | None:
        """None: a body that takes the lane is large."""

    async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
        if self._ask is not None:
            if first is not None:
                await until_returned(first)
                first = None
            self._ask()
            self._ask = None
        limit = min(limit, self.remaining)
        if limit or first is not None:
            turn = self._turn = _Turn(self._loop)
            self._reading.begin(first, sink, limit, turn.end)
            self._watch(self._reading.since + self._timeout)
            try:
                await turn.waiter
            except asyncio.CancelledError:
                if not self._reading.stop():
                    await turn.until_over()
                raise
            finally:
                if self._timer is not None:
                    self._timer.cancel()
                self._turn = self._timer = None
            if turn.error is not None:
                raise turn.error
        return self._reading.ended or Ended.WHOLE

    def end(self, ended: Ended) -> None:
        """End the body early: its connection is lost, or its client has stalled."""
        if self._reading.ended is None:
            self._reading.ended = ended
        if self._reading.stop() and self._turn is not None:
            self._turn.end(None)

    def _watch(self, when: float) -> None:
        self._timer = self._loop.call_later(when - self._loop.time(), self._check)

    def _check(self) -> None:
        now, end = self._loop.time(), self._reading.since + self._timeout
        if now < end:
            self._watch(end)
        elif self._reading.is_quiet():
            self.end(Ended.STALLED)
        else:  # a thread is at it, or will be: that is not the client's fault
            self._reading.hurry()
            self._watch(now + POLL_INTERVAL)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._give_back(self._reading)


class _Turn:
    """One `pour`: `end` is called when no thread works for it any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.waiter: asyncio.Future[None] = loop.create_future()
        self.error: BaseException | None = None
        self._loop = loop
        self._is_over = False

    def end(self, error: BaseException | None) -> None:
        """`error`: what the sink raised."""
        self._is_over, self.error = True, error
        if not self.waiter.done():
            self.waiter.set_result(None)

    async def until_over(self) -> None:
        """Wait for `end`, however often the task is cancelled."""
        with anyio.CancelScope(shield=True):
            while not self._is_over:
                self.waiter = self._loop.create_future()
                with suppress(asyncio.CancelledError):
                    await self.waiter
