"""Where the bytes of a request come from, and how they get into a sink.

Rule 1: bytes go to the sink on a thread, in blocks. While one block is written, the next one is
read, and no more than that.

Rule 2: only bytes that came are held, and not for long: what a slow client sent goes to the sink
after `HELD_SECONDS`. When all requests together hold `HELD_BY_ALL`, their blocks become small.

Rule 3: time in which the disk is slow does not count against the client: `excuse` takes off the
time in which nothing is read because of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from wherry.body import Body, Ended, First, Sink
from wherry.core.errors import UploadError
from wherry.core.limits import KiB, MiB
from wherry.threads import Call, started, until_returned

#: How many bytes a thread is asked to write at once, and how many when much is held in all.
BLOCK, SMALL_BLOCK = 1 * MiB, 64 * KiB
#: The bytes that all requests together hold before their blocks become small.
HELD_BY_ALL = 32 * MiB
#: How long bytes wait for more to fill their block, in seconds.
HELD_SECONDS = 0.25
#: A body of unknown length that ends within so many bytes is read before anything is done with it.
SHORT = 256 * KiB

# glibc gives free memory at the end of its heap back to the system as soon as there is more than
# twice the largest block that was ever freed (mallopt(3), M_MMAP_THRESHOLD). Below the size of a
# block that means giving back and asking for the same pages all the time, which costs a third of
# the CPU time of a long body. So one is freed that is as large as what a request holds.
bytearray(2 * BLOCK)

Piece = bytes | memoryview


class Source(Protocol):
    """The bytes of one request, in order, as they arrive.

    `ended` says how it ended, and is None until then; bytes may be left to read (`remaining`)
    when it is known already. `timeout`: the seconds within which the
    client must make progress.
    """

    timeout: float

    @property
    def ended(self) -> Ended | None: ...

    @property
    def remaining(self) -> int:
        """How many bytes are still to be read: as announced, or that came before the end."""

    async def read(self) -> Sequence[Piece]:
        """The next bytes, in one or more pieces that stay; none only when it has ended."""

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
    #: Whether the client has announced the length; if not, `bound` the body before anything else.
    is_announced: bool

    @property
    def is_whole(self) -> bool:
        """Whether all of its bytes have come."""

    async def bound(self, most: int, beyond: UploadError) -> None:
        """Take at most `most` bytes of a body of unknown length.

        From then on, `remaining` is the most that can come. A short body is read here, so its
        length is known afterwards. If more bytes come, this or `pour` raises `beyond`.
        """


class Held:
    """The bytes that one request holds in memory, until they are written."""

    _by_all: ClassVar[int] = 0

    def __init__(self) -> None:
        self.size = 0  # of what waits; what is being written is counted in `_by_all` only
        self._pieces: deque[memoryview] = deque()
        self._counted = 0

    @classmethod
    def is_much(cls) -> bool:
        return cls._by_all >= HELD_BY_ALL

    def pieces(self) -> tuple[memoryview, ...]:
        return tuple(self._pieces)

    def add(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            self._pieces.append(memoryview(piece))
            self.size += len(piece)
            self._count(len(piece))

    def take(self, most: int) -> list[memoryview]:
        """The first `most` bytes, or fewer. `release` them once they are written."""
        taken: list[memoryview] = []
        left = min(most, self.size)
        self.size -= left
        while left:
            piece = self._pieces.popleft()
            if len(piece) > left:
                self._pieces.appendleft(piece[left:])
                piece = piece[:left]
            taken.append(piece)
            left -= len(piece)
        return taken

    def release(self, size: int) -> None:
        self._count(-size)

    def close(self) -> None:
        self._count(-self._counted)

    def _count(self, size: int) -> None:
        self._counted += size
        Held._by_all += size


class SourceBody:
    """A `RequestBody` whose bytes are read from a source. `close` it.

    `may_gather`: whether the client may be asked for its bytes before it is known that they are
    wanted. `is_announced`: whether the length is known.
    """

    def __init__(
        self,
        source: Source,
        form: Form | None = None,
        *,
        may_gather: bool = True,
        is_announced: bool = True,
    ) -> None:
        self.form = form
        self.is_announced = is_announced
        self._source = source
        self._may_gather = may_gather
        self._held = Held()

    def close(self) -> None:
        self._held.close()

    @property
    def remaining(self) -> int:
        return self._held.size + self._source.remaining

    @property
    def is_whole(self) -> bool:
        if self._source.ended is None:  # the message that says so may still be to come
            return self._source.remaining == 0
        return self._source.ended is Ended.WHOLE

    async def bound(self, most: int, beyond: UploadError) -> None:
        self._source = Bounded(self._source, most, beyond)
        while self._may_gather and self._source.ended is None and not Held.is_much():
            self._held.add(await self._source.read())
            if self._held.size > SHORT:
                break

    async def gather(self, most: int) -> Sequence[memoryview] | None:
        if self.remaining > most or not self._may_gather:
            return None
        while self._source.remaining:
            if Held.is_much():
                return None
            self._held.add(await self._source.read())
        is_whole = self._source.ended in (None, Ended.WHOLE)
        return self._held.pieces() if is_whole else None

    async def pour(self, sink: Sink, limit: int, first: First | None = None) -> Ended:
        if first is not None:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await until_returned(first)
            self._source.excuse(loop.time() - begun)
        await _Pouring(self._source, self._held, sink, limit).to_the_end()
        ended = self._source.ended
        return ended if ended and not self._held.size else Ended.WHOLE


class Bounded:
    """A source whose length nobody has announced, of which at most `most` bytes are taken.

    Until it has ended, `remaining` is the most that can come. Its end is read before the last of
    these are handed on, so that they are not recorded if more follow: then `beyond` is raised.
    """

    def __init__(self, source: Source, most: int, beyond: UploadError) -> None:
        self.timeout = source.timeout
        self._source = source
        self._left = most
        self._beyond = beyond

    @property
    def ended(self) -> Ended | None:
        return self._source.ended

    @property
    def remaining(self) -> int:
        return min(self._source.remaining, self._left)

    async def read(self) -> Sequence[Piece]:
        pieces = list(await self._source.read())
        self._left -= sum(map(len, pieces))
        while not self._left and self._source.ended is None:
            pieces += (more := await self._source.read())
            self._left -= sum(map(len, more))
        if self._left < 0:
            raise self._beyond
        return pieces

    def excuse(self, seconds: float) -> None:
        self._source.excuse(seconds)


class _Pouring:
    """One call of `pour`. At most one block is being written at any time."""

    def __init__(self, source: Source, held: Held, sink: Sink, limit: int) -> None:
        self._source = source
        self._held = held
        self._sink = sink
        self._left = limit  # what the sink is still to be given
        self._writing: Call[None] | None = None
        self._size = 0  # of the block that is being written
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._given_at = self._loop.time()
        self._is_reading = False

    async def to_the_end(self) -> None:
        try:
            while self._left:
                await self._fill_block()
                await self._written()
                if not self._held.size:
                    break
                self._give()
            await self._written()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if self._writing is not None:
                with suppress(Exception):  # another one is on its way
                    await self._writing.outcome()

    async def _fill_block(self) -> None:
        """Read until there is a block or all that is wanted, or until the source has ended."""
        source, held = self._source, self._held
        while held.size < min(self._left, SMALL_BLOCK if Held.is_much() else BLOCK):
            if source.ended is not None and not source.remaining:
                return
            self._is_reading = True
            pieces = await source.read()
            self._is_reading = False
            held.add(pieces)
            if self._writing is not None and self._writing.has_failed:
                return
            if self._timer is None and held.size:
                self._timer = self._loop.call_later(HELD_SECONDS, self._give_in_time)

    def _give(self) -> None:
        """Have a thread give the sink what is held."""
        pieces, sink = self._held.take(self._left), self._sink
        self._size = sum(map(len, pieces))
        self._left -= self._size
        self._given_at = self._loop.time()

        def give() -> None:
            for piece in pieces:
                sink(piece)

        self._writing = started(give)

    async def _written(self) -> None:
        """Wait until the last block is written. Raises what the sink raised."""
        if (writing := self._writing) is None:
            return
        begun = self._loop.time()
        try:
            await writing.outcome()
        finally:
            self._writing = None
            self._held.release(self._size)
        self._source.excuse(self._loop.time() - begun)

    def _give_in_time(self) -> None:
        """The timer: give the sink what has been held for long, while the client is read."""
        self._timer = None
        if not self._is_reading or not self._held.size:
            return  # the task itself is about to give what is held, and starts the timer again
        if (writing := self._writing) is not None:
            if writing.has_failed:
                return  # the task finds out
            if writing.is_over:
                self._writing = None
                self._held.release(self._size)
        wait = self._given_at + HELD_SECONDS - self._loop.time()
        if self._writing is None and wait <= 0:
            self._give()
        else:
            wait = wait if wait > 0 else HELD_SECONDS
            self._timer = self._loop.call_later(wait, self._give_in_time)
