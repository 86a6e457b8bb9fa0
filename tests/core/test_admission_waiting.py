"""How long an upload that fits has to wait, whatever the others do: a simulated queue.

The queue, admission, and every change of an upload are the real ones, over a catalog in
memory; only the time, the disk and the clients are simulated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.core.admission import HEAD_START, LONGEST_PERIOD, SHORTEST_PERIOD, holding_since
from wherry.core.limits import Limits
from wherry.core.ranges import Part, Range
from wherry.core.upload import HOLDS_SPACE, UNFINISHED, State, Upload
from wherry.testing.memory.catalog import MemoryCatalog

pytestmark = pytest.mark.anyio

TICK = 5.0
MINUTE = 60.0
LIMITS = Limits(max_open=None, max_waiting=None, min_free=0)
#: The longest that a large one may hold up others, as the rule says.
LONGEST = 2 * LONGEST_PERIOD


@dataclass(eq=False)
class Client:
    """Comes at `comes` with uploads of `bytes`, as its kind does."""

    owner: str
    bytes: int
    comes: float = 0.0
    upload_id: str | None = None
    began: float | None = None  #: When it was admitted.

    async def act(self, house: House) -> None:
        if self.upload_id is None and house.now >= self.comes:
            self.upload_id = await house.come(self)
        if self.upload_id is None:
            return
        upload = await house.catalog.load(self.upload_id)
        if self.began is None and upload.state is State.RECEIVING:
            self.began = house.now
        await self.go_on(house, upload)

    async def go_on(self, house: House, upload: Upload) -> None:
        raise NotImplementedError

    async def again(self, house: House) -> None:
        self.upload_id, self.began = await house.come(self), None


@dataclass(eq=False)
class Honest(Client):
    """Sends all the while, and has ended after `lasts` seconds; its file is moved away."""

    lasts: float = MINUTE

    async def go_on(self, house: House, upload: Upload) -> None:
        if upload.state is not State.RECEIVING:
            return
        await house.send(upload)
        if self.began is not None and house.now >= self.began + self.lasts:
            await house.leave(upload)

    @property
    def waited(self) -> float | None:
        return None if self.began is None else self.began - self.comes


class Endless(Client):
    """Sends a little again and again, and never ends."""

    async def go_on(self, house: House, upload: Upload) -> None:
        if upload.state is State.RECEIVING:
            await house.send(upload)


class Abandoned(Client):
    """Sends a byte, and never comes back."""

    async def go_on(self, house: House, upload: Upload) -> None:
        if upload.state is State.RECEIVING and not upload.received.parts:
            await house.send(upload)


class Silent(Client):
    """Never sends, and comes again whenever its turn is taken from it."""

    async def go_on(self, house: House, upload: Upload) -> None:
        if upload.state not in UNFINISHED:
            await self.again(house)


@dataclass(eq=False)
class Hopping(Client):
    """Gives up after `stays` seconds in the queue, and comes again at once."""

    stays: float = MINUTE

    async def go_on(self, house: House, upload: Upload) -> None:
        if upload.state in HOLDS_SPACE:
            await house.send(upload)
        elif house.now - (upload.queued_at or 0.0) >= self.stays:
            await house.leave(upload)
            await self.again(house)


class Giving(Client):
    """One of many that give up as soon as the rule lets others go first."""

    async def go_on(self, house: House, upload: Upload) -> None:
        queue = await house.catalog.queue(house.now)
        large = [p for p in queue.in_order() if p.bytes == self.bytes]
        is_first = bool(large) and large[0].upload_id == upload.id
        rivals = any(isinstance(c, Honest) and c.comes <= house.now for c in house.clients)
        if rivals and is_first and holding_since(large[0].since, house.now) is None:
            await house.leave(upload)


class Returning(Client):
    """Sends a byte, goes idle, and asks for its slot again as soon as it has lost it."""

    async def go_on(self, house: House, upload: Upload) -> None:
        is_open = upload.is_open(house.now, LIMITS.latest_slot_end(house.now))
        if upload.state is not State.RECEIVING or upload.queued_at is not None:
            return
        if not upload.received.parts:
            await house.send(upload)
        elif not is_open:
            now = house.now
            await house.catalog.update(upload.id, lambda u: u.enter_queue(now))


@dataclass(eq=False)
class House:
    """A volume of `total` bytes, and everybody who comes to it."""

    total: int
    clients: list[Client]
    limits: Limits = LIMITS
    now: float = 0.0
    catalog: MemoryCatalog = field(default_factory=MemoryCatalog)
    ids: Any = field(default_factory=count)
    seen: set[str] = field(default_factory=set)

    async def come(self, client: Client) -> str:
        new = Upload(
            f"{next(self.ids):06d}",
            client.owner,
            "f",
            client.bytes,
            client.bytes,
            state=State.WAITING,
            queued_at=self.now,
            began_at=self.now,
        )
        await self.catalog.create(new)
        return new.id

    async def send(self, upload: Upload) -> None:
        now, limits = self.now, self.limits

        def change(u: Upload) -> Upload:
            if not u.received.parts:
                u = u.lease(Range(0, 1), "t", now).record("t", (Part(0, 1, 1, now),))
            return u.keep_slot(now, limits)

        await self.catalog.update(upload.id, change)

    async def leave(self, upload: Upload) -> None:
        now = self.now
        await self.catalog.update(upload.id, lambda u: u.cancel(now))

    async def tick(self) -> None:
        self.now += TICK
        now, limits = self.now, self.limits
        for client in self.clients:
            await client.act(self)
        queue = await self.catalog.queue(now, limits.latest_slot_end(now))
        for upload_id in queue.unused:
            await self.catalog.update(upload_id, lambda u: u.forfeit(now))
        for upload in await self.catalog.uploads(UNFINISHED):
            await self.catalog.update(upload.id, lambda u: u.expire(now, limits.expires_after))
        queue = await self.catalog.queue(now, limits.latest_slot_end(now))
        free = self.total - queue.reserved
        assert free >= 0  # nothing is reserved that is not there
        turns = {place.upload_id for place in queue.admissible(limits, free, now)}
        until = now + limits.turn
        await self.catalog.advance(now, lambda _: turns, lambda u: u.admit(now, until))

    async def run(self, seconds: float, until: Iterable[Client] = ()) -> None:
        """For so long, or until all of these were admitted."""
        end, wanted = self.now + seconds, list(until)
        while self.now < end and not (wanted and all(c.began is not None for c in wanted)):
            await self.tick()


async def test_an_abandoned_and_a_large_upload_hold_up_no_others() -> None:
    """39 MB were free, and everybody waited for a day."""
    others = [Honest(f"o{n}", 13, comes=600.0) for n in range(3)]
    large = Honest("a", 80, comes=300.0)
    house = House(100, [Abandoned("a", 61), large, *others])
    await house.run(3600.0, others)
    assert [other.waited for other in others] == [TICK] * 3
    await house.run(LIMITS.expires_after)
    assert large.began is None or large.began > LIMITS.expires_after


async def test_an_upload_that_fits_beside_a_large_one_does_not_wait() -> None:
    """An upload without end, one that waits for it, and others that fit beside both."""
    small = [Honest(f"o{n}", 10, comes=n * 70.0, lasts=65.0) for n in range(1, 60)]
    house = House(100, [Endless("e", 50), Honest("l", 80, comes=60.0), *small])
    await house.run(2 * 3600.0, small)
    assert max(client.waited or 1e9 for client in small) <= TICK


async def test_one_that_waits_for_what_never_ends_holds_up_others_only_for_a_time() -> None:
    other = Honest("o", 40, comes=120.0, lasts=30.0)
    house = House(100, [Endless("e", 50), Honest("l", 80, comes=60.0), other])
    await house.run(3600.0, [other])
    assert other.waited is not None
    assert other.waited <= 2 * MINUTE


@pytest.mark.parametrize("lasts", [60.0, 300.0, 1200.0, 3000.0])
async def test_a_large_one_gets_in_however_many_small_ones_come(lasts: float) -> None:
    """There is always a small one waiting that would fit in what has just come free."""
    large, number = Honest("l", 80, comes=2 * lasts, lasts=MINUTE), 0
    house = House(100, [large])
    bound = max(13 * lasts, 10 * MINUTE)
    while large.began is None and house.now < large.comes + bound:
        if number * lasts / 20 <= house.now:
            house.clients.append(Honest(f"o{number}", 10, comes=house.now, lasts=lasts))
            number += 1
        await house.tick()
    assert large.began is not None


async def test_many_large_uploads_hold_up_others_no_longer_than_one() -> None:
    """Each gives up when its period is over, and the next is at the beginning of one."""
    stock = [Giving(f"g{n}", 80, comes=n * 151.0 + 60.0) for n in range(40)]
    victim = Honest("v", 40, comes=40 * 151.0 + 60.0)
    house = House(100, [Endless("e", 50), *stock, victim])
    await house.run(victim.comes + LONGEST + MINUTE, [victim])
    assert victim.waited is not None
    assert SHORTEST_PERIOD <= victim.waited <= LONGEST


async def test_clients_that_leave_and_rejoin_the_queue_do_not_hold_up_others_for_ever() -> None:
    """Many large ones of many owners, of all ages, that give up and come again all the time."""
    hopping = [
        Hopping(f"h{n}", 80 + n, comes=n * 37.0 % 900, stays=60.0 * 2 ** (n % 7)) for n in range(21)
    ]
    victim = Honest("v", 40, comes=3 * 3600.0)
    house = House(100, [Endless("e", 50), *hopping, victim])
    await house.run(victim.comes + LONGEST + 60.0, [victim])
    assert victim.waited is not None
    assert victim.waited <= LONGEST


async def test_uploads_that_return_again_and_again_let_others_in_between() -> None:
    """Two uploads that take turns at the only slot, idle all the time."""
    limits = Limits(max_open=1, max_waiting=None, min_free=0)
    victim = Honest("v", 10, comes=1800.0)
    house = House(100, [Returning("r", 10), Returning("r", 10), Returning("r", 10), victim], limits)
    await house.run(3600.0, [victim])
    assert victim.waited is not None
    assert victim.waited <= HEAD_START + limits.slot_idle + limits.turn + TICK


async def test_an_upload_that_never_sends_delays_the_next_by_its_turn_only() -> None:
    limits = Limits(max_open=1, max_waiting=None, min_free=0)
    silent = [Silent(f"s{n}", 10) for n in range(5)]
    victims = [Honest(f"v{n}", 10, comes=600.0 + n, lasts=30.0) for n in range(5)]
    house = House(100, [*silent, *victims], limits)
    await house.run(3600.0, victims)
    # Those five stand before each of them at most once, and the others are quick.
    assert max(v.waited or 1e9 for v in victims) <= 5 * (limits.turn + 2 * TICK) + 5 * 40.0


KINDS = st.sampled_from([Endless, Abandoned, Silent, Hopping, Returning])


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.tuples(KINDS, st.sampled_from("abc"), st.integers(1, 95)), max_size=12),
    st.integers(0, 3),
)
async def test_every_upload_that_fits_is_admitted_within_the_bound(
    others: list[tuple[type[Client], str, int]], phase: int
) -> None:
    """It fits: there is room for it beside everything that the others hold all the time."""
    start = 7200.0 + phase * 1300.0
    victim = Honest("v", 5, comes=start)
    house = House(100, [kind(owner, size) for kind, owner, size in others])
    await house.run(start)
    house.clients.append(victim)
    free = [100]
    while victim.began is None and house.now < start + LONGEST + MINUTE:
        await house.tick()
        free.append(100 - (await house.catalog.queue(house.now)).reserved)
    if min(free) >= victim.bytes:
        assert victim.began is not None
