"""Which bytes to send next, in what size, and what a failure changes: the algorithm.

Rule 1: no clock, no randomness, no I/O. Times come in as seconds on any steady
clock, jitter as a number from 0 to 1.

Rule 2: of the chunks in flight, at most one is larger than what has passed at this origin. So a
limit costs one refusal, not one for each request in flight. Chunks are sent alone until one tells
how fast the line is, and after a failure, until one gets through.

Rule 3: chunks begin and end on multiples of `floor` (or at the file's end). Cutting one again
then never leaves a remainder below the server's minimum.

Rule 4: a range is in exactly one place: to send, in flight, or acknowledged.

Rule 5: where parts may go to the object store directly, a part that is wholly to be sent does. What
comes as chunks goes first: the first part, by which the server checks the file's type, and what is
left of others. A part on its way to the store says nothing about the size of chunks.

Rule 6: where the server can look at unfinished files, the end of the file comes second, after the
first chunk. It has chunks of the same sizes as the rest, so this costs no time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from wherry.client.backoff import Backoff
from wherry.client.chunk_size import ChunkSize
from wherry.client.decisions import Next, may_hide_refusal, what_next
from wherry.client.errors import ClientError, NoRoom
from wherry.client.ranges import gaps, merge, overlap
from wherry.core.ranges import Range

#: How many gaps the server lists in its answer to a chunk, at most.
LISTED = 100


@dataclass(frozen=True, slots=True)
class Chunk:
    """A range in flight since `began`. `part`: its number, if it goes to the object store."""

    range: Range
    began: float
    part: int | None = None


class Plan:
    """Which bytes of one upload are to send, in flight, or acknowledged. `missing`: to send.

    `part_size`: of the parts that may go to the object store; None: all bytes go in chunks. `tail`:
    how many bytes of the end come second.
    """

    def __init__(  # noqa: PLR0917 - what a plan depends on
        self,
        length: int,
        missing: Iterable[Range],
        size: ChunkSize,
        concurrency: int,
        backoff: Backoff,
        part_size: int | None = None,
        tail: int = 0,
    ) -> None:
        # Otherwise, a chunk that ends where a part begins could be below the server's minimum.
        is_on_grid = part_size is not None and part_size % size.floor == 0
        self._part_size = part_size if is_on_grid else None
        self._in_chunks = {1}  # parts that go in chunks
        self.backoff = backoff
        self.size = size
        self.must_look = False  #: Ask for the status before anything more is sent.
        self._length = length
        self._concurrency = concurrency
        self._to_send = self._on_grid(missing)
        self._tail = self._on_grid([Range(max(length - tail, 0), length)]) if tail else []
        self._flying: set[Chunk] = set()
        self._from_end = False
        self._turned_at = 0.0
        self._lasted = 0.0  # seconds that the last chunk took
        self._failed_at = -inf  # when a chunk failed that had begun after the failure before it
        # A chunk whose failure may hide a refusal, its error, and the failures until then.
        self._suspected: tuple[Range, ClientError, int] | None = None

    @property
    def is_done(self) -> bool:
        return not self._to_send and not self._flying

    @property
    def is_flying(self) -> bool:
        return bool(self._flying)

    @property
    def left(self) -> int:
        """Bytes that are not acknowledged yet."""
        return sum(map(len, self._to_send)) + sum(len(chunk.range) for chunk in self._flying)

    @property
    def to_send(self) -> tuple[Range, ...]:
        """The ranges that are not in flight."""
        return tuple(self._to_send)

    def is_safe(self, within: Range) -> bool:
        """Whether all bytes of a range are acknowledged."""
        flying = (chunk.range for chunk in self._flying)
        return not overlap([*self._to_send, *flying], [within])

    @property
    def chunk_size(self) -> int:
        """How large the next chunk may be."""
        return self.size.now(self.left)

    def next(self, now: float) -> Chunk | None:
        """The chunk to send now. None while a request or a pause must end first."""
        if not self._to_send or self.must_look or now < self.backoff.until:
            return None
        most = 1 if self.backoff.in_trouble else self._concurrency
        if len(self._flying) >= most:
            return None
        chunk = self._next_chunk(now) or self._next_part(now)
        if chunk is not None:
            self._flying.add(chunk)
            self._to_send = overlap(self._to_send, gaps([chunk.range], self._length))
        return chunk

    def _next_chunk(self, now: float) -> Chunk | None:
        for_chunks = self._for_chunks()
        if not for_chunks:
            return None
        # The smallest chunk is enough to find out whether the server is back.
        size = self.size.floor if self.backoff.in_trouble else self.chunk_size
        flying = [len(chunk.range) for chunk in self._flying if chunk.part is None]
        if flying and self.size.path.pace is None:
            return None
        if not all(map(self.size.is_proven, flying)):
            size = min(size, self.size.proven)
        return Chunk(self._cut(self._due(for_chunks), size), now) if size else None

    def _due(self, ranges: list[Range]) -> list[Range]:
        """Those of these ranges that come first: the end, once the beginning is on its way."""
        if self._from_end or not self._to_send[0].start:
            return ranges
        return overlap(ranges, self._tail) or ranges

    def _next_part(self, now: float) -> Chunk | None:
        if (size := self._part_size) is None:
            return None
        for within in reversed(self._to_send) if self._from_end else self._to_send:
            first, behind = self._parts_in(within, size)
            numbers = range(behind - 1, first - 1, -1) if self._from_end else range(first, behind)
            if (number := next((n for n in numbers if n not in self._in_chunks), None)) is not None:
                return Chunk(self._part(number, size), now, number)
        return None

    def _for_chunks(self) -> list[Range]:
        """What is to be sent, without the parts that go to the store."""
        if (size := self._part_size) is None:
            return self._to_send
        parts = []
        for within in self._to_send:
            first, behind = self._parts_in(within, size)
            for number in sorted(n for n in self._in_chunks if first <= n < behind):
                parts += [] if number == first else [self._stretch(first, number, size)]
                first = number + 1
            parts += [] if first >= behind else [self._stretch(first, behind, size)]
        return overlap(self._to_send, gaps(parts, self._length))

    def _parts_in(self, within: Range, size: int) -> tuple[int, int]:
        """The numbers of the first part inside `within`, and of the one behind the last."""
        last = -(-self._length // size)
        behind = last + 1 if within.end >= self._length else within.end // size + 1
        return -(-within.start // size) + 1, behind

    def _part(self, number: int, size: int) -> Range:
        return self._stretch(number, number + 1, size)

    def _stretch(self, first: int, behind: int, size: int) -> Range:
        return Range((first - 1) * size, min((behind - 1) * size, self._length))

    def end_direct(self) -> None:
        """From now on, all bytes go in chunks."""
        self._part_size = None

    def to_chunks(self, chunk: Chunk) -> None:
        """Take back a part that the server wants in chunks."""
        self.took_back(chunk)
        if chunk.part is not None:
            self._in_chunks.add(chunk.part)

    def passed(self, chunk: Chunk, now: float) -> None:
        """Its bytes are acknowledged."""
        self._flying.remove(chunk)
        self._lasted = now - chunk.began
        if chunk.part is None:
            self.size.note_passed(len(chunk.range), self._lasted)
        self.backoff.progressed(chunk.began)

    def learned(self, missing: Sequence[Range]) -> None:
        """The server listed its gaps: another client may have sent some of the bytes."""
        unlisted = missing[-1].end if len(missing) >= LISTED else self._length
        rest = [Range(unlisted, self._length)] if unlisted < self._length else []
        self._to_send = overlap(self._to_send, self._on_grid([*missing, *rest]))

    def looked(self, received: Iterable[Range]) -> int | None:
        """The status names the ranges that are `received`.

        Returns the size that counts as refused, if a chunk failed while the server was there.
        Raises the error of a filter that refuses the smallest chunk in every form.
        """
        missing = gaps(received, self._length)
        suspected, self._suspected, self.must_look = self._suspected, None, False
        self._to_send = overlap(self._to_send, self._on_grid(missing))
        if suspected is None or suspected[2] != self.backoff.failures:
            return None
        lost, error, _ = suspected
        if not overlap([lost], missing):
            return None
        size = len(lost)
        return size if self.size.note_suspected(size, error) else None

    def took_back(self, chunk: Chunk) -> None:
        """The chunk was not sent. Its range is cut again, and nothing is concluded."""
        self._flying.remove(chunk)
        self._to_send = merge([*self._to_send, chunk.range])

    def failed(self, chunk: Chunk, error: ClientError, now: float, jitter: float) -> bool:
        """Take its range back, to be cut again. True if it was refused for its size.

        Raises `error` if trying again cannot help, or `GaveUp`.
        """
        self.took_back(chunk)
        size, after = len(chunk.range), what_next(error, "chunk")
        if after is Next.SMALLER:
            if not self.size.note_refused(size, error):
                raise error
            return True
        if not error.retryable and after is not Next.LOOK:
            raise error
        if after in (Next.LOOK, Next.LINE):
            self.must_look = True
        if isinstance(error, NoRoom) or after is Next.WAIT:
            self.backoff.waits(error, now)
            return False
        if error.code == "superseded" and chunk.began >= self._turned_at:
            # Another client sends the same file. Go on from the other end of what is left.
            self._from_end = not self._from_end
            self._turned_at = now
            # Where both meet, give it the time to finish the chunk that it has begun.
            pause = (1 + jitter) * self._lasted
            self.backoff.until = max(self.backoff.until, now + pause)
        if chunk.began >= self._failed_at:  # others were under way: they say nothing more
            self.size.note_failed(size, now - chunk.began)
            self._failed_at = now
        self.backoff.failed(error, chunk.began, now, jitter)
        if may_hide_refusal(error, after):
            self._suspected = (chunk.range, error, self.backoff.failures)
        return False

    def _cut(self, ranges: Sequence[Range], size: int) -> Range:
        if not self._from_end:
            first = ranges[0]
            return Range(first.start, min(first.end, first.start + size))
        last, floor = ranges[-1], self.size.floor
        return Range(max(last.start, -(-(last.end - size) // floor) * floor), last.end)

    def _on_grid(self, ranges: Iterable[Range]) -> list[Range]:
        """The ranges, widened to multiples of the floor. The server skips bytes that it has."""
        floor = self.size.floor
        return merge(
            Range(r.start // floor * floor, min(-(-r.end // floor) * floor, self._length))
            for r in ranges
        )
