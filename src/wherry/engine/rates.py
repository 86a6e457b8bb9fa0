"""How much one owner may ask for in a time: requests, uploads, bytes.

The library `limits` decides, in a sliding window. It weights the period before the current one, so
that memory does not grow with the number of requests, and no period begins with a burst. The
counts are in the catalog (`shared_counts`), so that all processes share them.

Rule 1: what is over the rate is refused before a byte of its body is read, and does not count.

Rule 2: a rate is never the reason that something fails, except for `RateLimited`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from wherry.core.errors import RateLimited
from wherry.core.limits import Rate
from wherry.core.requests import Caller
from wherry.engine.context import Context

if TYPE_CHECKING:
    from limits import RateLimitItem

REQUESTS, UPLOADS, BYTES = "requests", "uploads", "bytes"


class Rates:
    """The rates in `settings`. Every method returns at once where there is none of its kind."""

    def __init__(self, context: Context) -> None:
        settings = context.settings
        given = {
            REQUESTS: settings.rate_requests,
            UPLOADS: settings.rate_uploads,
            BYTES: settings.rate_bytes,
        }
        self._rates = {kind: rate for kind, rate in given.items() if rate is not None}
        if self._rates:
            # Loaded only where there is a rate.
            from limits.aio.strategies import SlidingWindowCounterRateLimiter  # noqa: PLC0415

            from wherry.engine.shared_counts import SharedCounts  # noqa: PLC0415

            self._counts = SharedCounts(context)
            self._limiter = SlidingWindowCounterRateLimiter(self._counts)
            self._items = _items(self._rates)

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
    ) -> AsyncIterator[Callable[[], None]]:
        """Around the creation of an upload. Call what it yields when there is a new one.

        Otherwise, what was counted is given back: the client of an upload that cannot be created
        tries again, often for long.

        `is_resumed`: whether the request goes on with an upload that is there. It is asked only
        where the rate is used up. Raises `RateLimited`.
        """
        if UPLOADS not in self._rates:
            yield _nothing
            return
        item, is_new = self._items[UPLOADS], False
        is_counted = await self._limiter.hit(item, caller.owner)
        if not is_counted and not await is_resumed():
            raise await self._refusal(UPLOADS, caller, 1)

        def keep() -> None:
            nonlocal is_new
            is_new = True

        try:
            yield keep
        finally:
            if is_counted and not is_new:
                # A crash before that: the owner has one less until the period is over.
                with anyio.CancelScope(shield=True):
                    await self._counts.give_back(item.key_for(caller.owner), item.get_expiry())

    async def _refusal(self, kind: str, caller: Caller, amount: int) -> RateLimited:
        rate = self._rates[kind]
        stats = await self._limiter.get_window_stats(self._items[kind], caller.owner)
        return RateLimited(kind, str(rate), rate.wait_for(amount - stats.remaining))


def _items(rates: dict[str, Rate]) -> dict[str, RateLimitItem]:
    from limits import RateLimitItemPerSecond  # noqa: PLC0415

    return {
        kind: RateLimitItemPerSecond(rate.amount, rate.seconds, namespace=kind)
        for kind, rate in rates.items()
    }


def _nothing() -> None:
    """Where no uploads are counted."""
