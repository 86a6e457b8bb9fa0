"""Counts of what owners use, shared by all processes: the catalog as a storage of `limits`.

Rule 1: all processes together stay within a rate. What one of them has taken in the catalog, it
spends before the period ends, and no other process can.

Rule 2: few requests wait for the catalog. A process that asks again in a period takes in advance
as much as it has spent in it, but at most one part of the rate in `PARTS`. So an owner may be
refused while each of the other processes still has up to that much; so much is lost when a process
ends.

Rule 3: while the catalog fails or takes long, this process counts by itself, in memory.

Rule 4: an owner who is refused again and again costs the catalog a question now and then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from limits.aio.storage import MemoryStorage

from wherry.core.errors import UploadError
from wherry.core.limits import Used
from wherry.engine.context import Context
from wherry.events import Event

#: Rule 2: two percent.
PARTS = 50
#: How long a request waits for the catalog to count, in seconds.
PATIENCE = 2.0
#: How long the catalog is not asked after it has failed, in seconds.
PAUSE = 5.0
#: How long an owner is refused without asking again, in seconds; less where the period is short.
REFUSED_FOR = 1.0
#: Of how many counts this process remembers what it has taken.
REMEMBERED = 10_000


@dataclass(slots=True)
class _Share:
    """What this process has of one count in one period."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    period: int = -1
    #: What is taken and not spent, and what is spent.
    left: int = 0
    spent: int = 0
    #: As the catalog said last; None: it said nothing, and this process counts by itself.
    used: Used | None = None
    #: So much more was too much, and still is until then.
    refused: int = 0
    refused_until: float = 0.0

    def begin(self, period: int) -> None:
        """What was taken in an earlier period is lost."""
        if period > self.period:
            self.period, self.left, self.spent, self.refused_until = period, 0, 0, 0.0

    def spend(self, amount: int) -> None:
        self.left -= amount
        self.spent += amount


class SharedCounts(MemoryStorage):
    """Sliding windows in the catalog, by the deadline clock, which all processes share."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context, self._clock = context, context.clock
        self._shares: dict[str, _Share] = {}
        self._away_until = float("-inf")  # by anyio's clock

    async def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        share = self._share(key)
        async with share.lock:  # of requests at the same time, one takes for the others
            now = self._clock()
            share.begin(int(now // expiry))
            if share.left < amount:
                least = amount - share.left
                if least >= share.refused and now < share.refused_until:
                    return False
                most = least + min(share.spent, limit // PARTS)
                used = await self._update(key, expiry, lambda u: u.take(least, most, limit, now))
                share.used = used
                if used is None:
                    return await super().acquire_sliding_window_entry(key, limit, expiry, amount)
                if not used.taken:
                    pause = min(REFUSED_FOR, expiry / PARTS)
                    share.refused, share.refused_until = least, now + pause
                    return False
                share.period = used.period  # another process may have begun the next one
                share.left += used.taken
            share.spend(amount)
            return True

    async def give_back(self, key: str, expiry: int, amount: int = 1) -> None:
        """Undo an `acquire_sliding_window_entry` that was successful a short time ago."""
        share = self._share(key)
        async with share.lock:
            share.spent -= min(amount, share.spent)
            share.refused_until = 0.0
            if share.used is not None:
                await self._update(key, expiry, lambda used: used.give_back(amount))
            else:
                _, current = self.sliding_window_keys(key, expiry, time.time())
                await self.decr(current, amount)

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """As the catalog said last: it is asked here for what is free after a refusal."""
        used = self._share(key).used
        if used is None:
            return await super().get_sliding_window(key, expiry)
        now = self._clock()
        used = used.at(now)
        left = used.left(now)
        return used.before, left, used.amount, left + expiry

    async def _update(self, key: str, expiry: int, change: Callable[[Used], Used]) -> Used | None:
        """What is used now; None while the catalog is of no use."""
        if anyio.current_time() < self._away_until:
            return None
        new = Used(expiry, int(self._clock() // expiry))
        problem = "the catalog took too long"
        with anyio.move_on_after(PATIENCE):
            try:
                return await self._context.catalog.update_rate(key, new, change)
            except UploadError as error:
                problem = str(error)
        self._context.log_event(Event.RATES_NOT_SHARED, problem=problem)
        self._away_until = anyio.current_time() + PAUSE
        return None

    def _share(self, key: str) -> _Share:
        share = self._shares.pop(key, None) or _Share()
        self._shares[key] = share
        if len(self._shares) > REMEMBERED:
            del self._shares[next(iter(self._shares))]  # the one that was not asked for the longest
        return share
