"""The bytes of a request as any ASGI server brings them.

Rule 1: a client that makes less than 64 KiB of progress (or sends less than the rest) in
`timeout` seconds has stalled.

Rule 2: a message costs no task and no timer. There is one timer for a body, which finds out when
it runs whether it is time; only if the client has stalled, it cancels the waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from typing import Any, Self

from starlette.types import Message, Receive

from wherry.body import Ended
from wherry.core.limits import LARGEST_SIZE, KiB, MiB
from wherry.events import Event, log_event
from wherry.protocols.bodies.source import Piece

#: The progress a request must make in its timeout, in bytes.
PROGRESS = 64 * KiB
#: No ASGI server brings so many bytes in one message: a middleware has read them before.
BUFFERED = 1 * MiB


class AsgiSource:
    """A source of `length` bytes; None: of as many as come, up to the end of the request.

    Use it by `async with`: leaving it stops the timer.
    """

    def __init__(self, receive: Receive, length: int | None, timeout: float) -> None:
        self.timeout = timeout
        self.ended: Ended | None = None
        self._receive = receive
        self._length = length
        self._brought = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._reader: asyncio.Task[Any] | None = None  # who waits for a message
        self._has_stalled = False
        # The moment from which `timeout` counts, and the bytes that came since.
        self._since = self._loop.time()
        self._progress = 0

    @property
    def remaining(self) -> int:
        if self.ended is not None:
            return 0
        return LARGEST_SIZE if self._length is None else max(self._length - self._brought, 0)

    async def read(self) -> Sequence[Piece]:
        while self.ended is None:
            message = await self._next()
            if message is None:
                self.ended = Ended.STALLED
            elif data := self._take(message):
                if self._progress >= PROGRESS:
                    self._since, self._progress = self._loop.time(), 0
                return (data,)
        return ()

    def excuse(self, seconds: float) -> None:
        self._since += seconds

    async def _next(self) -> Message | None:
        """The next message; None if the client has stalled."""
        if self._timer is None:
            self._timer = self._loop.call_at(self._since + self.timeout, self._look)
        reader = asyncio.current_task()
        assert reader is not None  # noqa: S101 - a coroutine runs in a task
        others = reader.cancelling()
        self._reader = reader
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            if self._has_stalled and reader.uncancel() <= others:
                return None
            raise  # somebody else cancels, too
        finally:
            self._reader = None
        if self._has_stalled:  # the message came all the same, in the same turn of the loop
            reader.uncancel()
            return None
        return message

    def _look(self) -> None:
        """Cancel the waiting if the client has stalled; otherwise look again when it may have."""
        self._timer = None
        if self._reader is None:
            return  # it is not the client that is waited for; `_next` starts the timer again
        due = self._since + self.timeout
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._look)
        else:
            self._has_stalled = True
            self._reader.cancel()

    def _take(self, message: Message) -> bytes:
        """The bytes of a message; the last message says how the body ended."""
        if message["type"] == "http.disconnect":
            self.ended = Ended.CUT
            return b""
        data: bytes = message.get("body", b"")
        if len(data) >= BUFFERED:
            _log_buffering()
        self._brought += len(data)
        self._progress += len(data)
        if not message.get("more_body", False):
            is_cut = self._length is not None and self._brought < self._length
            self.ended = Ended.CUT if is_cut else Ended.WHOLE
        return data

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()


@cache
def _log_buffering() -> None:
    log_event(
        Event.HOST_LIMIT,
        place="a middleware",
        problem="a body came in one piece: a middleware around the router reads whole bodies into "
        "memory before Wherry sees their first byte. Let it pass on requests whose path has "
        "/chunked-upload/ in it",
    )
