"""How much one owner may ask for in a time: requests, uploads, bytes.

The library `limits` counts, in a sliding window. It weights the period before the current one, so
that memory does not grow with the number of requests, and no period begins with a burst.

Rule 1: what is over the rate is refused before a byte of its body is read, and does not count.

Rule 2: each process counts on its own, in memory, and begins at zero. So N processes allow up to
N times the rate. `limits` also counts in stores that all processes share: another
`limits.aio.storage.Storage` takes the place of `MemoryStorage`, and nothing else changes here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from wherry.core.errors import RateLimited
from wherry.core.limits import Rate
from wherry.core.requests import Caller
from wherry.settings import Settings

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.strategies import RateLimiter

REQUESTS, UPLOADS, BYTES = "requests", "uploads", "bytes"


class Rates:
    """The rates in `settings`. Every method returns at once where there is none of its kind."""

    def __init__(self, settings: Settings) -> None:
        given = {
            REQUESTS: settings.rate_requests,
            UPLOADS: settings.rate_uploads,
            BYTES: settings.rate_bytes,
        }
        self._rates = {kind: rate for kind, rate in given.items() if rate is not None}
        self._beginning = Counter[str]()  # uploads that are being created, by owner
        if self._rates:
            self._limiter, self._items = _counting(self._rates)

    async def take(self, kind: str, caller: Caller, amount: int = 1) -> None:
        """Count `amount`. Raises `RateLimited`, and then nothing is counted.

        More than the rate allows at all counts as all of it. Otherwise, it would never pass.
        """
        if (rate := self._rates.get(kind)) is None:
            return
        amount = min(amount, rate.amount)
        if not await self._limiter.hit(self._items[kind], caller.owner, cost=amount):
            raise await self._refusal(kind, caller, amount)

    @asynccontextmanager
    async def beginning(
        self, caller: Caller, is_resumed: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Around the creation of an upload. Call what it yields when there is a new one.

        An upload that cannot be created does not count: its client tries again, often for long.
        Those that are being created at the same time are considered.

        `is_resumed`: whether the request goes on with an upload that is there. It is asked only
        where the rate is used up. Raises `RateLimited`.
        """
        if UPLOADS not in self._rates:
            yield _nothing
            return
        item, owner = self._items[UPLOADS], caller.owner
        self._beginning[owner] += 1
        try:
            is_free = await self._limiter.test(item, owner, cost=self._beginning[owner])
            if not is_free and not await is_resumed():
                raise await self._refusal(UPLOADS, caller, 1)

            async def count() -> None:
                await self._limiter.hit(item, owner)

            yield count
        finally:
            self._beginning[owner] -= 1
            if not self._beginning[owner]:
                del self._beginning[owner]

    async def _refusal(self, kind: str, caller: Caller, amount: int) -> RateLimited:
        rate = self._rates[kind]
        stats = await self._limiter.get_window_stats(self._items[kind], caller.owner)
        return RateLimited(kind, str(rate), rate.wait_for(amount - stats.remaining))


def _counting(rates: dict[str, Rate]) -> tuple[RateLimiter, dict[str, RateLimitItem]]:
    # Loaded only where there is a rate.
    from limits import RateLimitItemPerSecond  # noqa: PLC0415
    from limits.aio.storage import MemoryStorage  # noqa: PLC0415
    from limits.aio.strategies import SlidingWindowCounterRateLimiter  # noqa: PLC0415

    items: dict[str, RateLimitItem] = {
        kind: RateLimitItemPerSecond(rate.amount, rate.seconds, namespace=kind)
        for kind, rate in rates.items()
    }
    return SlidingWindowCounterRateLimiter(MemoryStorage()), items


async def _nothing() -> None:
    """Where no uploads are counted."""
