"""The contract of a catalog about rates: one count for all, and none that stays for ever."""

from __future__ import annotations

from functools import partial

from wherry.catalog import Catalog
from wherry.core.limits import Used
from wherry.testing.catalog.fixtures import raises, together

NEW = Used(60, 1)
LIMIT = 30


def take(least: int, now: float = 70.0) -> partial[Used]:
    """Take so much at `now`. The period 1 is from 60 to 120."""
    return partial(Used.take, least=least, most=least, limit=LIMIT, now=now)


async def what_is_used_is_counted_for_each_key(catalog: Catalog) -> None:
    assert await catalog.update_rate("a", NEW, take(20)) == Used(60, 1, 20, 0, 20)
    assert await catalog.update_rate("a", NEW, take(11)) == Used(60, 1, 20, 0, 0)
    assert (await catalog.update_rate("b", NEW, take(30))).taken == 30
    assert await catalog.update_rate("a", NEW, take(1, 120.0)) == Used(60, 2, 1, 20, 1)
    assert await catalog.update_rate("a", NEW, lambda u: u.give_back(5)) == Used(60, 2, 0, 16)
    large = Used(86400, 10**6, (1 << 62) - 1, (1 << 62) - 1)
    await catalog.update_rate("c", NEW, lambda _: large)
    assert await catalog.update_rate("c", NEW, lambda used: used) == large


async def what_is_used_at_the_same_time_stays_within_the_rate(catalog: Catalog) -> None:
    taken: list[int] = []

    async def one() -> None:
        taken.append((await catalog.update_rate("a", NEW, take(2))).taken)

    await together(*[one] * 20)
    assert sorted(taken) == [0] * 5 + [2] * 15


async def a_count_that_cannot_be_changed_stays(catalog: Catalog) -> None:
    await catalog.update_rate("a", NEW, take(20))

    def fail(used: Used) -> Used:
        raise ValueError(used)

    for key in ("a", "new"):
        await raises(ValueError, partial(catalog.update_rate, key, NEW, fail))
    assert (await catalog.update_rate("a", NEW, lambda used: used)).amount == 20
    assert (await catalog.update_rate("new", NEW, take(30))).taken == 30


async def counts_are_forgotten_when_they_have_expired(catalog: Catalog) -> None:
    await catalog.update_rate("a", NEW, take(20))
    await catalog.update_rate("b", NEW, take(20, 130.0))
    await catalog.forget_rates(179.9)
    assert (await catalog.update_rate("a", NEW, lambda used: used)).amount == 20
    await catalog.forget_rates(180.0)
    assert (await catalog.update_rate("a", NEW, lambda used: used)).amount == 0
    assert (await catalog.update_rate("b", NEW, lambda used: used)).amount == 20
