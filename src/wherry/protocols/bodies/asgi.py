"""The bytes of a request as any ASGI server brings them.

Rule 1: a client that makes less than 64 KiB of progress (or sends less than the rest) in
`timeout` seconds has stalled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

from starlette.types import Message, Receive

from wherry.body import Ended
from wherry.core.limits import KiB
from wherry.protocols.bodies.source import Piece

#: The progress a request must make in its timeout, in bytes.
PROGRESS = 64 * KiB


class AsgiSource:
    """A source of `length` bytes. Use it by `async with`: leaving it stops reading."""

    def __init__(self, receive: Receive, length: int, timeout: float) -> None:
        self.timeout = timeout
        self.ended: Ended | None = None
        self._receive = receive
        self._length = length
        self._brought = 0
        self._message: asyncio.Task[Message] | None = None
        # The moment from which `timeout` counts, and the bytes that came since.
        self._since = asyncio.get_running_loop().time()
        self._progress = 0

    @property
    def remaining(self) -> int:
        return max(self._length - self._brought, 0) if self.ended is None else 0

    async def is_ready(self) -> bool:
        if self.ended is not None:
            return False
        if (message := self._message) is None:
            message = self._ask()
            await asyncio.sleep(0)  # one turn of the loop: the server may have it already
        return message.done()

    async def read(self) -> Sequence[Piece]:
        loop = asyncio.get_running_loop()
        while self.ended is None:
            message = self._ask()
            left = self._since + self.timeout - loop.time()
            await asyncio.wait([message], timeout=max(left, 0))
            if not message.done():
                self.ended = Ended.STALLED
                break
            self._message = None
            if data := self._take(message.result()):
                if self._progress >= PROGRESS:
                    self._since, self._progress = loop.time(), 0
                return (data,)
        return ()

    def excuse(self, seconds: float) -> None:
        self._since += seconds

    def _ask(self) -> asyncio.Task[Message]:
        """The message that is being waited for."""
        if self._message is None:
            self._message = asyncio.ensure_future(self._receive())
        return self._message

    def _take(self, message: Message) -> bytes:
        """The bytes of a message; the last message says how the body ended."""
        if message["type"] == "http.disconnect":
            self.ended = Ended.CUT
            return b""
        data: bytes = message.get("body", b"")
        self._brought += len(data)
        self._progress += len(data)
        if not message.get("more_body", False):
            self.ended = Ended.WHOLE if self._brought >= self._length else Ended.CUT
        return data

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._message is not None:
            self._message.cancel()
            await asyncio.wait([self._message])
