"""A limit for what a client sends."""

from __future__ import annotations

import time

import anyio

from wherry.core.limits import KiB

#: With less, a request would be idle for longer than proxies wait (bytes a second).
LEAST_RATE = 16 * KiB


class Rate:
    """At most `limit` bytes a second, in all requests of a client together."""

    def __init__(self, limit: int) -> None:
        """Raises `ValueError` for a limit below `LEAST_RATE`."""
        if limit < LEAST_RATE:
            raise ValueError(f"a rate must be at least {LEAST_RATE // KiB} KiB a second")
        self._limit = limit
        self._free_at = 0.0  # when all that was taken has been sent, by the steady clock

    async def take(self, size: int) -> None:
        """Wait until `size` bytes may be sent."""
        now = time.monotonic()
        turn = max(self._free_at, now)
        self._free_at = turn + size / self._limit
        await anyio.sleep(turn - now)
