"""How large the next chunk may be: what the way to one origin lets through, and how fast.

Rule 1: no clock and no I/O, as in `plan`.
"""

from __future__ import annotations

from wherry.core.limits import KiB, MiB

#: No chunk is cut smaller (bytes).
FLOOR = 64 * KiB
#: A request that took longer than this many seconds is close to a proxy's timeout: send less.
SLOW = 10.0
#: A request that failed after this many seconds may have run into such a timeout.
TIMER = 20.0


class ChunkSize:
    """How large a chunk may be on the way to one origin, in bytes; learned while sending.

    `limit` only falls: twice that size was refused. `pace` follows the speed. `passed` is the
    largest size that ever got through. `has_whole`: whether the server takes a whole file in one
    request; older ones have only chunks.
    """

    def __init__(self, preferred: int = 5 * MiB, floor: int = FLOOR) -> None:
        self.preferred = preferred
        self.floor = floor
        self.limit: int | None = None
        self.pace: int | None = None
        self.passed = 0
        self.has_whole = True

    def offered(self, preferred: int, floor: int) -> None:
        """Take the server's sizes; what was learned on the way stays."""
        self.preferred, self.floor = preferred, floor

    @property
    def now(self) -> int:
        bounds = (self.preferred, self.limit, self.pace)
        return self._on_grid(min(b for b in bounds if b is not None))

    def takes_whole(self, size: int) -> bool:
        """Whether to send a file of this size in one request."""
        return self.has_whole and size <= self.now

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
