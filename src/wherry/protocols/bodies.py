"""Request bodies as any ASGI server brings them.

Rule 1: a body that makes less than 64 KiB of progress (or the rest) in
`timeout` seconds has stalled. Time in which the disk is slow does not count.

Rule 2: at most one block is held for a request, and it goes to the sink on a
thread. While it is written, the server stops reading from that client.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

from starlette.types import Message, Receive

from wherry.body import Ended, Sink, until_returned
from wherry.core.limits import KiB, MiB

#: Bytes that are gathered, if they are there already, before a thread is asked to write them.
BLOCK = 1 * MiB
#: The progress a request must make in its timeout, in bytes.
PROGRESS = 64 * KiB


class AsgiBody:
    """A raw body of `length` bytes. Use it by `async with`: leaving it stops reading."""

    def __init__(self, receive: Receive, length: int, timeout: float) -> None:
        self._receive = receive
        self._timeout = timeout
        self._length = length
        self._given = 0
        self._held: deque[memoryview] = deque()
        self._held_size = 0
        self._ended: Ended | None = None
        self._message: asyncio.Task[Message] | None = None
        self._since = asyncio.get_running_loop().time()
        self._progress = 0

    @property
    def remaining(self) -> int:
        if self._ended is None:
            return max(self._length - self._given, self._held_size)
        return self._held_size

    async def pour(self, sink: Sink, limit: int) -> Ended:
        left = limit
        while left:
            if not self._held_size:
                await self._wait()
            while self._held_size < min(left, BLOCK) and await self._is_more_here():
                await self._wait()
            if not self._held_size:
                return self._ended or Ended.WHOLE
            left -= await self._give(sink, min(left, BLOCK))
        return Ended.WHOLE

    async def _give(self, sink: Sink, most: int) -> int:
        """Hand held bytes to the sink, `most` at most; how many."""
        pieces: list[memoryview] = []
        size = 0
        while self._held and size < most:
            piece = self._held.popleft()
            if len(piece) > most - size:
                self._held.appendleft(piece[most - size :])
                piece = piece[: most - size]
            pieces.append(piece)
            size += len(piece)
        self._held_size -= size
        self._given += size
        begun = asyncio.get_running_loop().time()

        def give() -> None:
            for piece in pieces:
                sink(piece)

        await until_returned(give)
        self._since += asyncio.get_running_loop().time() - begun
        return size

    async def _is_more_here(self) -> bool:
        """Whether the server has more bytes at hand; asks it for them if not."""
        if self._ended is not None:
            return False
        if self._message is None:
            self._message = asyncio.ensure_future(self._receive())
            await asyncio.sleep(0)
        return self._message.done()

    async def _wait(self) -> None:
        """Hold the next bytes, or find out how the body ended."""
        if self._ended is not None:
            return
        loop = asyncio.get_running_loop()
        before = self._held_size
        while self._held_size == before and self._ended is None:
            if self._message is None:
                self._message = asyncio.ensure_future(self._receive())
            patience = self._since + self._timeout - loop.time()
            await asyncio.wait([self._message], timeout=max(patience, 0))
            if not self._message.done():
                self._ended = Ended.STALLED
                return
            message, self._message = self._message.result(), None
            if message["type"] == "http.disconnect":
                self._ended = Ended.CUT
                return
            self._take(message.get("body", b""), message.get("more_body", False))
        self._progress += self._held_size - before
        if self._progress >= PROGRESS:
            self._since, self._progress = loop.time(), 0

    def _take(self, data: bytes, more: bool) -> None:
        self._hold(memoryview(data))
        if not more:
            whole = self._given + self._held_size >= self._length
            self._ended = Ended.WHOLE if whole else Ended.CUT

    def _hold(self, piece: memoryview) -> None:
        if piece:
            self._held.append(piece)
            self._held_size += len(piece)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._message is not None:
            self._message.cancel()
            await asyncio.wait([self._message])
