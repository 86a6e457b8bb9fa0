"""What an examination may spend, and what it has: bytes, seconds, requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from wherry.core.limits import MiB

#: What an examination may cost.
MOST_BYTES, MOST_SECONDS = 32 * MiB, 30.0


class Spending:
    """Bounds for all threads of an examination together."""

    def __init__(
        self, most_bytes: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.bytes = 0
        self.requests = 0
        self._most_bytes = most_bytes
        self._clock = clock
        self._begun = clock()
        self._end = self._begun + seconds
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Count bytes that are about to be sent. False, and nothing is counted, if too many."""
        with self._lock:
            if self.bytes + size > self._most_bytes:
                return False
            self.bytes += size
            return True

    def count_request(self) -> None:
        with self._lock:
            self.requests += 1

    def left_bytes(self) -> int:
        return self._most_bytes - self.bytes

    def left(self) -> float:
        """The seconds that are left; never below 0."""
        return max(self._end - self._clock(), 0.0)

    def seconds(self) -> float:
        return self._clock() - self._begun
