"""Who may start now, and who stands where in the line.

Rule 1: whoever finds no room stands in the line, in order of coming and fair
between owners: somebody's second upload comes after everybody's first.

Rule 2: nobody overtakes whoever is next for a slot or for space that will come free
when the open uploads end. Who is held up by a limit of its owner, or waits for more
space than that, holds up nobody else; and who needs no space waits for none.

Rule 3: what can never fit is told so at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from wherry.core.errors import NeverFits
from wherry.core.limits import Limits

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
class Place:
    """An upload in the line since `since` (Unix seconds).

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
class Line:
    """Everybody who waits, and what everybody else has taken.

    `unused`: uploads that were let in, and have let their time pass without a byte.
    """

    places: tuple[Place, ...] = ()
    taken: Mapping[str, Taken] = field(default_factory=dict, hash=False)
    unused: tuple[str, ...] = ()

    @property
    def open(self) -> int:
        return sum(taken.open for taken in self.taken.values())

    @property
    def reserved(self) -> int:
        return sum(taken.reserved for taken in self.taken.values())

    def of(self, owner: str) -> Taken:
        return self.taken.get(owner, Taken())

    def in_order(self) -> tuple[Place, ...]:
        """Who is next comes first."""
        ahead = Counter({owner: taken.open for owner, taken in self.taken.items()})
        ranked = []
        for place in sorted(self.places, key=lambda p: (not p.comes_back, p.since, p.upload_id)):
            key = (ahead[place.owner], not place.comes_back, place.since, place.upload_id)
            ranked.append((key, place))
            ahead[place.owner] += 1
        return tuple(place for _, place in sorted(ranked, key=lambda pair: pair[0]))

    def positions(self) -> dict[str, int]:
        """By upload: 1 is next."""
        return {place.upload_id: number for number, place in enumerate(self.in_order(), 1)}

    def only(self, upload_ids: Collection[str]) -> Line:
        """The same with nobody else in it."""
        there = tuple(place for place in self.places if place.upload_id in upload_ids)
        return replace(self, places=there)

    def turns(self, limits: Limits, free: int | None = None) -> tuple[Place, ...]:
        """Who may come in now. `free`: bytes of disk left to promise; None: it is not asked."""
        now_open, reserved, chosen = self.open, self.reserved, []
        taken, room = dict(self.taken), True
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
            if place.bytes:
                # What finished files take may never come free again: who needs that waits aside.
                if free is not None and place.bytes > free + reserved:
                    continue
                room = room and _is_within(reserved + place.bytes, limits.max_reserved)
                room = room and _is_within(place.bytes, free)
                if not room:
                    continue
            now_open, reserved = now_open + 1, reserved + place.bytes
            free = None if free is None else free - place.bytes
            taken[place.owner] = after
            chosen.append(place)
        return tuple(chosen)


def ask_again(position: int | None, turn: float) -> int:
    """Seconds until a client in the line should ask: half as long as its turn is kept, at most."""
    most = max(min(ASK_AGAIN_AT_MOST, int(turn / 2)), ASK_AGAIN)
    return min(ASK_AGAIN + (position or 0) // PLACES_A_SECOND, most)


def check_fits_ever(length: int, limits: Limits, space: Space) -> None:
    """Raises `TooLarge` or `NeverFits` for a length that waiting cannot help."""
    limits.check_length(length)
    bounds = (limits.max_reserved, limits.max_reserved_per_owner, space.total - limits.min_free)
    bound = min(b for b in bounds if b is not None)
    if length > bound:
        raise NeverFits(limit=max(bound, 0), provided=length)


def _is_within(wanted: int, bound: int | None) -> bool:
    return bound is None or wanted <= bound
