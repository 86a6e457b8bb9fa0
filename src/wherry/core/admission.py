"""Who may start now, and who stands where in the queue.

Rule 1: whoever finds no room stands in the queue, in order of coming and fair
between owners: somebody's second upload comes after everybody's first.

Rule 2: who is next and fits gets in. One that does not fit holds up others only if it
will fit when the open uploads of other owners end. What is abandoned, what its own
owner has open, and what finished files take are not awaited.

Rule 3: it never holds up what fits beside it, and others only for a time, at most half
of the time: `held_since` says when. So whoever fits gets in, and so does a large one.

Rule 4: what can never fit is told so at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from wherry.core.errors import NeverFits
from wherry.core.limits import Limits

#: Seconds that one waits in the shortest and in the longest of the periods of Rule 3.
HELD_AT_LEAST, HELD_AT_MOST = 60.0, 64 * 60.0
#: Who comes back with its bytes goes before those who came up to so many seconds before it.
AHEAD = 600.0
#: Seconds after which whoever is next should ask again, and whoever comes last.
ASK_AGAIN, ASK_AGAIN_AT_MOST = 1, 30
#: One second more for so many places: a turn must not lie unused, nor a thousand ask at once.
PLACES_A_SECOND = 10


@dataclass(frozen=True, slots=True)
class Space:
    """The volume that holds the bytes, in bytes. `free` already excludes what is reserved."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What one owner's uploads take: how many are open, and bytes reserved for them."""

    open: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """An upload in the queue since `since` (by the deadline clock).

    `bytes`: the space that it needs; none for one that has its space already and only
    wants its slot back. Of one owner's, those come first: the sooner they end, the
    sooner there is space.
    """

    upload_id: str
    owner: str
    since: float
    bytes: int
    comes_back: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """An upload that is open since `since`, and whose `bytes` may come free when it ends."""

    owner: str
    bytes: int
    since: float


@dataclass(frozen=True, slots=True)
class Queue:
    """Everybody who waits, and what everybody else has taken.

    `opened`: those of them that are open; the others are abandoned, until they come back.
    `unused`: uploads that were let in, and have let their time pass without a byte.
    """

    entries: tuple[Entry, ...] = ()
    taken: Mapping[str, Taken] = field(default_factory=dict, hash=False)
    unused: tuple[str, ...] = ()
    opened: tuple[Opened, ...] = ()

    @property
    def open(self) -> int:
        return sum(taken.open for taken in self.taken.values())

    @property
    def reserved(self) -> int:
        return sum(taken.reserved for taken in self.taken.values())

    def of(self, owner: str) -> Taken:
        return self.taken.get(owner, Taken())

    def in_order(self) -> tuple[Entry, ...]:
        """Who is next comes first."""
        ahead = Counter({owner: taken.open for owner, taken in self.taken.items()})
        ranked = []
        for place in sorted(self.entries, key=lambda p: (not p.comes_back, p.since, p.upload_id)):
            since = place.since - AHEAD if place.comes_back else place.since
            key = (ahead[place.owner], since, not place.comes_back, place.upload_id)
            ranked.append((key, place))
            ahead[place.owner] += 1
        return tuple(place for _, place in sorted(ranked, key=lambda pair: pair[0]))

    def positions(self) -> dict[str, int]:
        """By upload: 1 is next."""
        return {place.upload_id: number for number, place in enumerate(self.in_order(), 1)}

    def only(self, upload_ids: Collection[str]) -> Queue:
        """The same with nobody else in it."""
        there = tuple(place for place in self.entries if place.upload_id in upload_ids)
        return replace(self, entries=there)

    def turns(self, limits: Limits, free: int | None = None, now: float = 0.0) -> tuple[Entry, ...]:
        """Who may come in at `now`. `free`: bytes of disk left to promise; None: not asked."""
        bound = None if limits.max_reserved is None else limits.max_reserved - self.reserved
        room = _Room(_least(free, bound))
        now_open, taken, chosen = self.open, dict(self.taken), []
        opened = list(self.opened)
        for place in self.in_order():
            theirs = taken.get(place.owner, Taken())
            after = Taken(theirs.open + 1, theirs.reserved + place.bytes)
            if not (
                _is_within(after.open, limits.max_open_per_owner)
                and _is_within(after.reserved, limits.max_reserved_per_owner)
            ):
                continue
            if not _is_within(now_open + 1, limits.max_open):
                break
            if not room.take(place.bytes):
                room.claim(place, opened, now)
                continue
            now_open, taken[place.owner] = now_open + 1, after
            opened.append(Opened(place.owner, place.bytes, now))
            chosen.append(place)
        return tuple(chosen)


@dataclass(slots=True)
class _Room:
    """Bytes that may be promised now, `free`; and to those who come after one that waits
    for more of them than there are, `beside`. None: no bound.
    """

    free: int | None
    beside: int | None = None
    is_claimed: bool = False

    def take(self, wanted: int) -> bool:
        """Whether there is so much; then it is taken. Who wants none always gets it."""
        if wanted and not (_is_within(wanted, self.free) and _is_within(wanted, self.beside)):
            return False
        self.free = None if self.free is None else self.free - wanted
        self.beside = None if self.beside is None else self.beside - wanted
        return True

    def claim(self, place: Entry, opened: Collection[Opened], now: float) -> None:
        """The first who will fit when others end decides for all who come after it."""
        awaited = [other for other in opened if other.owner != place.owner]
        reach = (self.free or 0) + sum(other.bytes for other in awaited)
        if self.is_claimed or place.bytes > reach:
            return
        self.is_claimed = True
        begun = held_since(place.since, now)
        if begun is not None:
            # Who was let in beside it in this period is not waited for, else they would be many.
            late = sum(other.bytes for other in awaited if other.since > begun)
            self.beside = max(reach - late - place.bytes, 0)


def held_since(since: float, now: float) -> float | None:
    """When the period began in which somebody in the queue since `since` holds up others.

    None: they go first at `now`. Both take turns, for periods of 1, 2, 4, ... 64 minutes:
    never longer than half of what it has waited, but for the first. They begin at full
    multiples of their length for everybody, so that in the last minute of 128 all periods
    let others go first: who gives up and comes again, or has many in the queue, gains nothing.
    """
    length = HELD_AT_LEAST
    while length < HELD_AT_MOST and 4 * length <= now - since:
        length *= 2
    number = now // length
    return number * length if number % 2 == 0 else None


def ask_again(position: int | None, turn: float) -> int:
    """Seconds until a client in the queue should ask: half as long as its turn is kept, at most."""
    most = max(min(ASK_AGAIN_AT_MOST, int(turn / 2)), ASK_AGAIN)
    return min(ASK_AGAIN + (position or 0) // PLACES_A_SECOND, most)


def check_fits_ever(length: int, limits: Limits, space: Space) -> None:
    """Raises `TooLarge` or `NeverFits` for a length that waiting cannot help."""
    limits.check_length(length)
    bounds = (limits.max_reserved, limits.max_reserved_per_owner, space.total - limits.min_free)
    bound = min(b for b in bounds if b is not None)
    if length > bound:
        raise NeverFits(limit=max(bound, 0), provided=length)


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _is_within(wanted: int, bound: int | None) -> bool:
    return bound is None or wanted <= bound
