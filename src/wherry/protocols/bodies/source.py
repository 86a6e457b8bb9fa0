"""Where the bytes of a request come from, and how they get into a sink.

Rule 1: at most one block is held for a request, and it goes to the sink on a thread. While it
is written, nothing is read from the client.

Rule 2: time in which the disk is slow does not count against the client: `excuse` takes off the
time of each write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from wherry.body import Body, Ended, Sink
from wherry.core.limits import MiB
from wherry.threads import until_returned

#: The most that all requests together may have gathered, in bytes.
GATHERED = 32 * MiB
#: Bytes that are gathered, if they are there already, before a thread is asked to write them.
BLOCK = 1 * MiB

Piece = bytes | memoryview


class Source(Protocol):
    """The bytes of one request, in order, as they arrive.

    `ended` says how it ended, and is None until then. `timeout`: the seconds within which the
    client must make progress.
    """

    timeout: float
    ended: Ended | None

    @property
    def remaining(self) -> int:
        """How many bytes are still to be read, as announced; 0 once it has ended."""

    async def read(self) -> Sequence[Piece]:
        """The next bytes, in one or more pieces; none only when it has ended."""

    async def is_ready(self) -> bool:
        """Whether more bytes are at hand, so that `read` need not wait for the client."""

    def excuse(self, seconds: float) -> None:
        """Do not count these seconds: the client could not send, because the disk was busy."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a form says before the bytes of its file."""

    fields: Mapping[str, str] = field(default_factory=dict)
    filename: str | None = None
    content_type: str | None = None


class RequestBody(Body, Protocol):
    """A body, and the form around it; `form` is None for raw bytes."""

    form: Form | None


class SourceBody:
    """A `RequestBody` whose bytes are read from a source. `close` it."""

    _gathered_by_all: ClassVar[int] = 0

    def __init__(self, source: Source, form: Form | None = None) -> None:
        self.form = form
        self._source = source
        self._held: deque[memoryview] = deque()
        self._held_size = 0
        self._gathered = 0

    def close(self) -> None:
        SourceBody._gathered_by_all -= self._gathered
        self._gathered = 0

    @property
    def remaining(self) -> int:
        return self._held_size + self._source.remaining

    async def gather(self, most: int) -> Sequence[memoryview] | None:
        size = self.remaining
        if size > most or SourceBody._gathered_by_all + size > GATHERED:
            return None
        SourceBody._gathered_by_all += size - self._gathered
        self._gathered = size
        while self._source.ended is None and self._source.remaining:
            await self._hold_more()
        is_whole = self._source.ended in (None, Ended.WHOLE)
        return tuple(self._held) if is_whole else None

    async def pour(self, sink: Sink, limit: int) -> Ended:
        left = limit
        while left:
            if not self._held_size:
                await self._hold_more()
            while self._held_size < min(left, BLOCK) and await self._source.is_ready():
                await self._hold_more()
            if not self._held_size:
                break
            left -= await self._give(sink, min(left, BLOCK))
        ended = self._source.ended
        return ended if ended and not self._held_size else Ended.WHOLE

    async def _hold_more(self) -> None:
        for piece in await self._source.read():
            self._held.append(memoryview(piece))
            self._held_size += len(piece)

    async def _give(self, sink: Sink, most: int) -> int:
        """Hand at most `most` of the held bytes to the sink. Returns how many."""
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
        begun = asyncio.get_running_loop().time()

        def give() -> None:
            for piece in pieces:
                sink(piece)

        await until_returned(give)
        self._source.excuse(asyncio.get_running_loop().time() - begun)
        return size
