"""Which uploads may be admitted now, and which position each has in the queue.

Rule 1: an upload for which there is no room waits in the queue, in order of coming and fair
between owners: the second upload of one owner comes after the first of every other.

Rule 2: the next upload that fits is admitted. One that does not fit holds up others only if it
will fit when the open uploads of other owners end. It does not wait for what is abandoned, for
what its own owner has open, or for what finished files take.

Rule 3: it never holds up what fits beside it, and others only for a time, at most half
of the time: `holding_since` says when. So every upload that can fit is admitted, large ones too.

Rule 4: what can never fit is refused at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from wherry.core.errors import NeverFits
from wherry.core.limits import Limits

#: Seconds that one waits in the shortest and in the longest of the periods of Rule 3.
SHORTEST_PERIOD, LONGEST_PERIOD = 60.0, 64 * 60.0
#: An upload that comes back with its bytes goes before those that came up to so many seconds
#: before it.
HEAD_START = 600.0
#: Seconds after which the first in the queue should ask again, and the last.
POLL_AFTER, POLL_AFTER_AT_MOST = 1, 30
#: One second more for so many positions: a slot must not stay unused, nor a thousand clients
#: ask at once.
POSITIONS_PER_SECOND = 10


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

    `bytes`: the space that it needs; none if it has its space already and only needs a slot
    again (`is_returning`). Of one owner's, those come first: the sooner they end, the sooner
    there is space.
    """

    upload_id: str
    owner: str
    since: float
    bytes: int
    is_returning: bool = False


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload that is open since `since`, and whose `bytes` may come free when it ends."""

    owner: str
    bytes: int
    since: float


@dataclass(frozen=True, slots=True)
class Queue:
    """All uploads that wait, and what all others have taken.

    `open_uploads`: the others that are open; the rest is abandoned, until it comes back.
    `unused`: uploads that were admitted and sent no byte in their time.
    """

    entries: tuple[Entry, ...] = ()
    taken: Mapping[str, Taken] = field(default_factory=dict, hash=False)
    unused: tuple[str, ...] = ()
    open_uploads: tuple[OpenUpload, ...] = ()

    @property
    def open(self) -> int:
        return sum(taken.open for taken in self.taken.values())

    @property
    def reserved(self) -> int:
        return sum(taken.reserved for taken in self.taken.values())

    def taken_by(self, owner: str) -> Taken:
        return self.taken.get(owner, Taken())

    def in_order(self) -> tuple[Entry, ...]:
        """The next one comes first."""
        ahead = Counter({owner: taken.open for owner, taken in self.taken.items()})
        ranked = []
        for entry in sorted(self.entries, key=lambda p: (not p.is_returning, p.since, p.upload_id)):
            since = entry.since - HEAD_START if entry.is_returning else entry.since
            key = (ahead[entry.owner], since, not entry.is_returning, entry.upload_id)
            ranked.append((key, entry))
            ahead[entry.owner] += 1
        return tuple(entry for _, entry in sorted(ranked, key=lambda pair: pair[0]))

    def positions(self) -> dict[str, int]:
        """By upload: 1 is next."""
        return {entry.upload_id: number for number, entry in enumerate(self.in_order(), 1)}

    def restricted_to(self, upload_ids: Collection[str]) -> Queue:
        """The same queue with only these uploads in it."""
        there = tuple(entry for entry in self.entries if entry.upload_id in upload_ids)
        return replace(self, entries=there)

    def admissible(
        self, limits: Limits, free: int | None = None, now: float = 0.0
    ) -> tuple[Entry, ...]:
        """The uploads that can be admitted at `now`, in order.

        `free`: bytes of disk that can be reserved; None: not asked.
        """
        bound = None if limits.max_reserved is None else limits.max_reserved - self.reserved
        room = _Room(_least(free, bound))
        now_open, taken, chosen = self.open, dict(self.taken), []
        open_uploads = list(self.open_uploads)
        for entry in self.in_order():
            theirs = taken.get(entry.owner, Taken())
            after = Taken(theirs.open + 1, theirs.reserved + entry.bytes)
            if not (
                _is_within(after.open, limits.max_open_per_owner)
                and _is_within(after.reserved, limits.max_reserved_per_owner)
            ):
                continue
            if not _is_within(now_open + 1, limits.max_open):
                break
            if not room.take(entry.bytes):
                room.hold_for(entry, open_uploads, now)
                continue
            now_open, taken[entry.owner] = now_open + 1, after
            open_uploads.append(OpenUpload(entry.owner, entry.bytes, now))
            chosen.append(entry)
        return tuple(chosen)


@dataclass(slots=True)
class _Room:
    """Bytes that can be reserved: `free` in all; `beside` for those that come after one that
    waits for more than there are. None: no bound.
    """

    free: int | None
    beside: int | None = None
    is_held: bool = False

    def take(self, wanted: int) -> bool:
        """Whether there is so much; then it is taken. Nothing can always be taken."""
        if wanted and not (_is_within(wanted, self.free) and _is_within(wanted, self.beside)):
            return False
        self.free = None if self.free is None else self.free - wanted
        self.beside = None if self.beside is None else self.beside - wanted
        return True

    def hold_for(self, entry: Entry, open_uploads: Collection[OpenUpload], now: float) -> None:
        """The first one that will fit when others end decides for all that come after it."""
        awaited = [other for other in open_uploads if other.owner != entry.owner]
        reach = (self.free or 0) + sum(other.bytes for other in awaited)
        if self.is_held or entry.bytes > reach:
            return
        self.is_held = True
        begun = holding_since(entry.since, now)
        if begun is not None:
            # It does not wait for those admitted beside it in this period, or there would be
            # more and more of them.
            late = sum(other.bytes for other in awaited if other.since > begun)
            self.beside = max(reach - late - entry.bytes, 0)


def holding_since(since: float, now: float) -> float | None:
    """When the period began in which an upload in the queue since `since` holds up others.

    None: others go first at `now`. The two alternate, for periods of 1, 2, 4, ... 64 minutes:
    except for the first, never longer than half of the time it has waited. For all uploads the
    periods begin at full multiples of their length, so that in the last minute of 128 all of
    them let others go first: a client that gives up and comes again, or has many uploads in the
    queue, gains nothing.
    """
    length = SHORTEST_PERIOD
    while length < LONGEST_PERIOD and 4 * length <= now - since:
        length *= 2
    number = now // length
    return number * length if number % 2 == 0 else None


def poll_after(position: int | None, turn: float) -> int:
    """Seconds until a client in the queue should ask again: at most half of its `turn`."""
    most = max(min(POLL_AFTER_AT_MOST, int(turn / 2)), POLL_AFTER)
    return min(POLL_AFTER + (position or 0) // POSITIONS_PER_SECOND, most)


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
