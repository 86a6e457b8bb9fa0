"""Which bytes to send next, in what size, and what a failure changes: the algorithm.

Rule 1: no clock, no randomness, no I/O. Times come in as seconds on any steady
clock, jitter as a number from 0 to 1.

Rule 2: a chunk of a size that never got through at this origin is sent alone. A limit on the way
then costs one refusal for each halving, not one for each request in flight. After a failure, chunks
are sent alone too, until one gets through.

Rule 3: chunks begin and end on multiples of `floor` (or at the file's end). Cutting one again
then never leaves a remainder below the server's minimum.

Rule 4: a range is in exactly one place: to send, in flight, or acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wherry.client.decisions import Next, what_next
from wherry.client.errors import ClientError, ConnectionLost, GaveUp, NoRoom, ServerFailed
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range

#: No chunk is cut smaller (bytes).
FLOOR = 64 * KiB
#: A request that took longer than this many seconds is close to a proxy's timeout: send less.
SLOW = 10.0
#: A request that failed after this many seconds may have run into such a timeout.
TIMER = 20.0
#: Back-off: the first pause is at most `BACKOFF` seconds, each further one twice as long.
BACKOFF, LONGEST_BACKOFF = 0.1, 30.0
#: Seconds between two requests to a server that is full or busy, if it does not name a time.
#: An admitted upload keeps its slot for a minute, so no pause is longer than `LONGEST_WAIT`.
POLL_INTERVAL, LONGEST_WAIT = 1.0, 30.0
#: A request that starts this many seconds after the end of a pause counts failures from zero.
ASLEEP = 60.0
#: How many gaps the server lists in its answer to a chunk, at most.
LISTED = 100


def pause_of(retry_after: float | None) -> float:
    """Seconds to wait for room or for an end, whatever time the answer names."""
    return min(retry_after or POLL_INTERVAL, LONGEST_WAIT)


class ChunkSize:
    """How large a chunk may be on the way to one origin, in bytes; learned while sending.

    `limit` only falls: twice that size was refused. `pace` follows the speed. `passed` is the
    largest size that ever got through.
    """

    def __init__(self, preferred: int = 5 * MiB, floor: int = FLOOR) -> None:
        self.preferred = preferred
        self.floor = floor
        self.limit: int | None = None
        self.pace: int | None = None
        self.passed = 0

    def offered(self, preferred: int, floor: int) -> None:
        """Take the server's sizes; what was learned on the way stays."""
        self.preferred, self.floor = preferred, floor

    @property
    def now(self) -> int:
        bounds = (self.preferred, self.limit, self.pace)
        return self._on_grid(min(b for b in bounds if b is not None))

    def is_proven(self, size: int) -> bool:
        return size <= self.passed

    def note_passed(self, size: int, seconds: float) -> None:
        self.passed = max(self.passed, size)
        if seconds > SLOW:
            self.pace = self._on_grid(size // 2)
        elif self.pace is not None and size >= self.pace and seconds < SLOW / 2:
            self.pace *= 2

    def note_refused(self, size: int) -> bool:
        """A 413. False if `size` cannot be halved any more."""
        if self.is_proven(size):
            self.passed = 0  # The way has changed, so what was learned does not hold.
        self._halve(size)
        return size > self.floor

    def note_failed(self, size: int, seconds: float) -> None:
        if seconds > TIMER:
            self.pace = self._on_grid(size // 2)

    def note_suspected(self, size: int) -> bool:
        """A chunk failed although the server is there. True if that counts as a refusal for size.

        It does if no chunk of this size ever got through.
        """
        refused = not self.is_proven(size) and size > self.floor
        if refused:
            self._halve(size)
        return refused

    def _halve(self, size: int) -> None:
        half = self._on_grid(size // 2)
        self.limit = half if self.limit is None else min(self.limit, half)

    def _on_grid(self, size: int) -> int:
        return max(size // self.floor, 1) * self.floor


class Backoff:
    """When to try again, and when to give up. Progress resets the count of failures."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout  #: Seconds without progress, counted from the first failure.
        self.until = 0.0  #: Nothing is sent before this time.
        self.in_trouble = False  #: No request got through since the last error.
        self.failures = 0  #: Without progress since.
        self._failing_since = 0.0
        self._failed_at = 0.0

    def progressed(self, began: float) -> None:
        """A request got through. One that `began` before the last failure proves nothing."""
        if began >= self._failed_at:
            self.failures, self.in_trouble = 0, False

    def waits(self, error: ClientError, now: float) -> None:
        """The server has no room yet. That is not a failure, however long it takes."""
        self.in_trouble = True
        self._failed_at = now
        self.until = max(self.until, now + pause_of(error.retry_after))

    def failed(self, error: ClientError, began: float, now: float, jitter: float) -> None:
        """Set the next pause. Raises `GaveUp` if it would exceed the timeout.

        `began`: when the failed request was started. Requests that were in flight together
        fail together, and count once.
        """
        if began > self.until + ASLEEP:
            self.failures = 0  # The computer was asleep meanwhile.
        # A range lost to another client is no trouble: the server is there.
        self.in_trouble = self.in_trouble or error.code != "superseded"
        if self.failures == 0:
            self._failing_since = now
        if self.failures == 0 or began >= self._failed_at:
            self.failures += 1
            self._failed_at = now
        pause = jitter * min(LONGEST_BACKOFF, BACKOFF * 2.0 ** (self.failures - 1))
        said = min(error.retry_after or 0.0, LONGEST_WAIT)
        self.until = max(self.until, now + max(pause, said))
        if self.until - self._failing_since > self.timeout:
            raise GaveUp(
                f"No progress for {now - self._failing_since:.0f} s: {error.detail}",
                "Every acknowledged byte is safe; the same upload can go on later.",
                error.code,
                error.status,
                retryable=True,
            ) from error


@dataclass(frozen=True, slots=True)
class Chunk:
    """A range in flight since `began`."""

    range: Range
    began: float


class Plan:
    """Which bytes of one upload are to send, in flight, or acknowledged. `missing`: to send."""

    def __init__(
        self,
        length: int,
        missing: Iterable[Range],
        size: ChunkSize,
        concurrency: int,
        backoff: Backoff,
    ) -> None:
        self.backoff = backoff
        self.size = size
        self.must_look = False  #: Ask for the status before anything more is sent.
        self._length = length
        self._concurrency = concurrency
        self._to_send = self._on_grid(missing)
        self._flying: set[Chunk] = set()
        self._from_end = False
        self._turned_at = 0.0
        self._lasted = 0.0  # seconds that the last chunk took
        # A chunk whose failure may hide a refusal for size, and the number of failures until then.
        self._suspected: tuple[Range, int] | None = None

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
        """What is not in flight."""
        return tuple(self._to_send)

    def next(self, now: float) -> Chunk | None:
        """The chunk to send now. None while a request or a pause must end first."""
        if not self._to_send or self.must_look or now < self.backoff.until:
            return None
        # The smallest chunk is enough to find out whether the server is back.
        cut = self._cut(self.size.floor if self.backoff.in_trouble else self.size.now)
        sizes = [len(cut), *(len(chunk.range) for chunk in self._flying)]
        is_clear = not self.backoff.in_trouble and all(map(self.size.is_proven, sizes))
        if len(self._flying) >= (self._concurrency if is_clear else 1):
            return None
        chunk = Chunk(cut, now)
        self._flying.add(chunk)
        self._to_send = overlap(self._to_send, gaps([cut], self._length))
        return chunk

    def passed(self, chunk: Chunk, now: float) -> None:
        """Its bytes are acknowledged."""
        self._flying.remove(chunk)
        self._lasted = now - chunk.began
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
        """
        missing = gaps(received, self._length)
        suspected, self._suspected, self.must_look = self._suspected, None, False
        self._to_send = overlap(self._to_send, self._on_grid(missing))
        if suspected is None or suspected[1] != self.backoff.failures:
            return None
        lost = suspected[0]
        is_refused = bool(overlap([lost], missing)) and self.size.note_suspected(len(lost))
        return len(lost) if is_refused else None

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
            if not self.size.note_refused(size):
                raise error
            return True
        if not error.retryable:
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
        self.size.note_failed(size, now - chunk.began)
        self.backoff.failed(error, chunk.began, now, jitter)
        foreign = after is Next.LOOK and isinstance(error, ServerFailed)
        if foreign or isinstance(error, ConnectionLost):
            self._suspected = (chunk.range, self.backoff.failures)
        return False

    def _cut(self, size: int) -> Range:
        if not self._from_end:
            first = self._to_send[0]
            return Range(first.start, min(first.end, first.start + size))
        last, floor = self._to_send[-1], self.size.floor
        return Range(max(last.start, -(-(last.end - size) // floor) * floor), last.end)

    def _on_grid(self, ranges: Iterable[Range]) -> list[Range]:
        """The ranges, widened to multiples of the floor. The server skips bytes that it has."""
        floor = self.size.floor
        return merge(
            Range(r.start // floor * floor, min(-(-r.end // floor) * floor, self._length))
            for r in ranges
        )


def gaps(ranges: Iterable[Range], length: int) -> list[Range]:
    """The bytes from 0 to `length` that lie in none of `ranges`."""
    found, at = [], 0
    for known in merge(ranges):
        if at < known.start:
            found.append(Range(at, known.start))
        at = known.end
    return [*found, Range(at, length)] if at < length else found


def overlap(some: Iterable[Range], others: Sequence[Range]) -> list[Range]:
    """The bytes that lie in both; each of them sorted and without overlap."""
    both = (
        (max(one.start, other.start), min(one.end, other.end)) for one in some for other in others
    )
    return [Range(start, end) for start, end in both if start < end]


def merge(ranges: Iterable[Range]) -> list[Range]:
    """The same bytes as sorted ranges that neither overlap nor touch."""
    merged: list[Range] = []
    for new in sorted(ranges):
        if merged and new.start <= merged[-1].end:
            new = Range(merged[-1].start, max(merged.pop().end, new.end))  # noqa: PLW2901
        merged.append(new)
    return merged
