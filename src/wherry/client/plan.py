"""Which bytes to send next, in what size, and what a failure changes: the algorithm.

Rule 1: no clock, no randomness, no I/O. Times come in as seconds on any steady
clock, jitter as a number from 0 to 1.

Rule 2: a size that never passed on this origin flies alone, so a limit on the
way costs one refusal a halving, never one for each request in flight. So does
what is sent after a failure, until something gets through again.

Rule 3: chunks begin and end on multiples of `floor` (or at the file's end), so
that cutting one again never leaves a rest below the server's minimum.

Rule 4: a range is in exactly one place: to send, in flight, or acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wherry.client.errors import ClientError, ConnectionLost, GaveUp, NoRoom, TooLarge
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range

#: No chunk is cut smaller (bytes).
FLOOR = 64 * KiB
#: A request that took longer than this many seconds is near some proxy's timer: send less.
SLOW = 10.0
#: One that failed after this many seconds may have met such a timer.
TIMER = 20.0
#: Back-off: the first pause is at most `BACKOFF` seconds, each further one twice as long.
BACKOFF, LONGEST_BACKOFF = 0.1, 30.0
#: Seconds between two questions to a server that is full or at work, where it does not say.
#: A place that comes up in the waiting line is kept for a minute, so none waits longer.
POLL, LONGEST_WAIT = 1.0, 30.0


class ChunkSize:
    """How large a chunk may be on the way to one origin; learned while sending (bytes).

    `limit` only falls: something refused the double of it. `pace` follows the
    speed. `passed` is the largest that ever got through.
    """

    def __init__(self, preferred: int = 5 * MiB, floor: int = FLOOR) -> None:
        self.preferred = preferred
        self.floor = floor
        self.limit: int | None = None
        self.pace: int | None = None
        self.passed = 0

    def offered(self, preferred: int, floor: int) -> None:
        """What the server said; what was learned on the way stays."""
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
        """A 413. False when `size` cannot be halved any more."""
        if self.is_proven(size):
            self.passed = 0  # The way has changed: what was known of it no longer holds.
        self._halve(size)
        return size > self.floor

    def note_failed(self, size: int, seconds: float, reset: bool) -> bool:
        """A `reset` of a size that never passed is a refusal in disguise: True."""
        if reset and not self.is_proven(size) and size > self.floor:
            self._halve(size)
            return True
        if seconds > TIMER:
            self.pace = self._on_grid(size // 2)
        return False

    def _halve(self, size: int) -> None:
        half = self._on_grid(size // 2)
        self.limit = half if self.limit is None else min(self.limit, half)

    def _on_grid(self, size: int) -> int:
        return max(size // self.floor, 1) * self.floor


class Patience:
    """When to try again, and when to stop trying. Progress forgets all failures."""

    def __init__(self, budget: float) -> None:
        self.budget = budget  #: Seconds without progress, counted from the first failure.
        self.until = 0.0  #: Nothing is sent before this time.
        self.in_trouble = False  #: Nothing got through since the last error.
        self._failures = 0
        self._failing_since = 0.0
        self._failed_at = 0.0

    def progressed(self) -> None:
        self._failures, self.in_trouble = 0, False

    def waits(self, error: NoRoom, now: float) -> None:
        """There will be room later: that is not a failure, however long it takes."""
        self.in_trouble = True
        self.until = max(self.until, now + min(error.retry_after or POLL, LONGEST_WAIT))

    def failed(self, error: ClientError, began: float, now: float, jitter: float) -> None:
        """Set the next pause. Raises `GaveUp` when that would exceed the budget.

        `began`: when the failed request was started. Those that were in flight
        together fail together, and count once.
        """
        self.in_trouble = True
        if self._failures == 0:
            self._failing_since = now
        if self._failures == 0 or began >= self._failed_at:
            self._failures += 1
            self._failed_at = now
        pause = jitter * min(LONGEST_BACKOFF, BACKOFF * 2.0 ** (self._failures - 1))
        self.until = max(self.until, now + max(pause, error.retry_after or 0.0))
        if self.until - self._failing_since > self.budget:
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
    """The bytes of one upload on their way. `missing`: what is to be sent."""

    def __init__(
        self,
        length: int,
        missing: Iterable[Range],
        size: ChunkSize,
        concurrency: int,
        patience: Patience,
    ) -> None:
        self.patience = patience
        self.size = size
        self._concurrency = concurrency
        self._to_send = merge(_on_grid(gap, size.floor, length) for gap in missing)
        self._flying: set[Chunk] = set()

    @property
    def is_done(self) -> bool:
        return not self._to_send and not self._flying

    @property
    def left(self) -> int:
        """Bytes that are not acknowledged yet."""
        return sum(map(len, self._to_send)) + sum(len(chunk.range) for chunk in self._flying)

    @property
    def to_send(self) -> tuple[Range, ...]:
        """What nobody is sending at the moment."""
        return tuple(self._to_send)

    def next(self, now: float) -> Chunk | None:
        """The chunk to send now; None while something in flight or a pause has to end first."""
        if not self._to_send or now < self.patience.until:
            return None
        first = self._to_send[0]
        # Whether the server is back, the smallest chunk finds out as well.
        size = self.size.floor if self.patience.in_trouble else self.size.now
        end = min(first.end, first.start + size)
        proven = self.size.is_proven(end - first.start) and all(
            self.size.is_proven(len(chunk.range)) for chunk in self._flying
        )
        is_clear = proven and not self.patience.in_trouble
        if len(self._flying) >= (self._concurrency if is_clear else 1):
            return None
        self._to_send[:1] = [Range(end, first.end)] if end < first.end else []
        chunk = Chunk(Range(first.start, end), now)
        self._flying.add(chunk)
        return chunk

    def passed(self, chunk: Chunk, now: float) -> None:
        """Its bytes are acknowledged."""
        self._flying.remove(chunk)
        self.size.note_passed(len(chunk.range), now - chunk.began)
        self.patience.progressed()

    def took_back(self, chunk: Chunk) -> None:
        """It was not sent: its range is cut anew, and nothing is concluded from it."""
        self._flying.remove(chunk)
        self._to_send = merge([*self._to_send, chunk.range])

    def failed(self, chunk: Chunk, error: ClientError, now: float, jitter: float) -> bool:
        """Take its range back, to be cut anew. True if it was refused for its size.

        Raises what trying again cannot mend: `error` itself, or `GaveUp`.
        """
        self.took_back(chunk)
        size = len(chunk.range)
        if isinstance(error, TooLarge) and error.facts.get("scope") != "file":
            if not self.size.note_refused(size):
                raise error
            return True
        if isinstance(error, NoRoom):
            self.patience.waits(error, now)
            return False
        if not error.retryable:
            raise error
        reset = isinstance(error, ConnectionLost)
        refused = self.size.note_failed(size, now - chunk.began, reset)
        self.patience.failed(error, chunk.began, now, jitter)
        return refused


def gaps(ranges: Iterable[Range], length: int) -> list[Range]:
    """The bytes from 0 to `length` that lie in none of `ranges`."""
    found, at = [], 0
    for known in merge(ranges):
        if at < known.start:
            found.append(Range(at, known.start))
        at = known.end
    return [*found, Range(at, length)] if at < length else found


def merge(ranges: Iterable[Range]) -> list[Range]:
    """The same bytes as sorted ranges that neither overlap nor touch."""
    merged: list[Range] = []
    for new in sorted(ranges):
        if merged and new.start <= merged[-1].end:
            new = Range(merged[-1].start, max(merged.pop().end, new.end))  # noqa: PLW2901
        merged.append(new)
    return merged


def _on_grid(gap: Range, floor: int, length: int) -> Range:
    """`gap` widened to multiples of `floor`. The server skips what it already has."""
    return Range(gap.start // floor * floor, min(-(-gap.end // floor) * floor, length))
