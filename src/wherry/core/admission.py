"""Which uploads may be admitted now, and which position each has in the queue.

Rule 1: an upload that cannot be admitted at once waits in the queue. The order is that of
arrival, and fair between owners: the second upload of one owner comes after the first upload of
every other owner.

Rule 2: the first upload in the queue that fits is admitted. A small upload may therefore overtake
a large one. If nothing prevented that, a steady flow of small uploads would take every byte that
comes free, and a large upload would wait for ever. So a large upload may hold up the uploads
behind it, but only if it will fit when the open uploads of other owners end. The space of
abandoned uploads, of finished files and of its own owner's open uploads does not count, because
nothing says that any of it comes free soon.

Rule 3: while a large upload holds up others, they are still admitted into the space that it
leaves over. It holds up others for at most half of the time: `holding_since` says when. So
every upload that can fit is admitted in the end, and a large one does not stop the others.

Rule 4: an upload that can never fit is refused at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wherry.core.errors import NeverFits
from wherry.core.limits import Limits

#: The shortest and the longest period of Rule 3, in seconds.
SHORTEST_PERIOD, LONGEST_PERIOD = 60.0, 64 * 60.0
#: An upload that returns after a pause has its disk space already. It goes ahead of uploads that
#: joined the queue up to this many seconds before it.
HEAD_START = 600.0
#: After how many seconds the first upload in the queue should ask again, and the last one.
POLL_AFTER, POLL_AFTER_AT_MOST = 1, 30
#: Each further group of this many positions waits one second longer. The first ones ask often, so
#: that a free slot is used soon; the last ones ask seldom, so that a long queue is no load.
POSITIONS_PER_SECOND = 10


@dataclass(frozen=True, slots=True)
class Space:
    """The size of the storage volume in bytes. Reserved bytes do not count as `free`."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What one owner uses: the number of open uploads, and the bytes reserved for all of them."""

    open: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """An upload in the queue since `since` (by the deadline clock).

    `bytes`: the disk space that it needs. `is_returning`: it was admitted before, was idle for
    too long and lost its slot. It kept its reservation, so its `bytes` are 0 and it needs only a
    slot. Returning uploads come first among those of their owner, because their space comes
    free as soon as they end.
    """

    upload_id: str
    owner: str
    since: float
    bytes: int
    is_returning: bool = False


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload that has been open since `since`. Its `bytes` may come free when it ends."""

    owner: str
    bytes: int
    since: float


@dataclass(frozen=True, slots=True)
class Queue:
    """All uploads that wait, and what the others use.

    `taken`: by owner. `open_uploads`: the uploads that have a slot; an upload that holds space
    without a slot counts as abandoned until it returns. `unused`: uploads that were admitted and
    sent no byte within their `turn`.
    """

    entries: tuple[Entry, ...] = ()
    taken: Mapping[str, Taken] = field(default_factory=dict, hash=False)
    unused: tuple[str, ...] = ()
    open_uploads: tuple[OpenUpload, ...] = ()

    @property
    def open(self) -> int:
        """How many uploads are open, of all owners."""
        return sum(taken.open for taken in self.taken.values())

    @property
    def reserved(self) -> int:
        """How many bytes are reserved, for all owners."""
        return sum(taken.reserved for taken in self.taken.values())

    def taken_by(self, owner: str) -> Taken:
        """What this owner uses."""
        return self.taken.get(owner, Taken())

    def in_order(self) -> tuple[Entry, ...]:
        """The entries of the queue; the next upload to be admitted comes first.

        An entry is ranked by how many uploads of its owner are open or ahead of it, then by its
        time. This is what makes the order fair: an owner with nine open uploads has to wait
        until the others have as many.
        """
        ahead = Counter({owner: taken.open for owner, taken in self.taken.items()})
        ranked = []
        for entry in sorted(self.entries, key=lambda p: (not p.is_returning, p.since, p.upload_id)):
            since = entry.since - HEAD_START if entry.is_returning else entry.since
            key = (ahead[entry.owner], since, not entry.is_returning, entry.upload_id)
            ranked.append((key, entry))
            ahead[entry.owner] += 1
        return tuple(entry for _, entry in sorted(ranked, key=lambda pair: pair[0]))

    def positions(self) -> dict[str, int]:
        """The position of every upload in the queue, by its id; 1 is next."""
        return {entry.upload_id: number for number, entry in enumerate(self.in_order(), 1)}

    def restricted_to(self, upload_ids: Collection[str]) -> Queue:
        """The same queue with only these uploads in it."""
        entries = tuple(entry for entry in self.entries if entry.upload_id in upload_ids)
        return replace(self, entries=entries)

    def admits(self, entry: Entry, limits: Limits, free: int | None, now: float) -> bool:
        """Whether `entry` is admitted at `now` if it joins the queue now. `free`: of the disk."""
        joined = replace(self, entries=(*self.entries, entry))
        return entry in joined.admissible(limits, free, now)

    def admissible(
        self, limits: Limits, free: int | None = None, now: float = 0.0
    ) -> tuple[Entry, ...]:
        """The uploads that can be admitted at `now`, in order.

        `free`: how many bytes of the disk can be reserved. None ignores the disk, so only the
        settings limit what is admitted.
        """
        bound = None if limits.max_reserved is None else limits.max_reserved - self.reserved
        room = _Room(_least(free, bound))
        now_open, taken, chosen = self.open, dict(self.taken), []
        open_uploads = list(self.open_uploads)
        for entry in self.in_order():
            theirs = taken.get(entry.owner, Taken())
            after = Taken(theirs.open + 1, theirs.reserved + entry.bytes)
            # The owner is at a limit of its own. That delays no other owner.
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
    """How many bytes can still be reserved while the queue is read from its first entry on.

    `free`: in all. `beside`: by entries behind one that holds up others (`is_held`): what that one
    will leave over. None: no bound.
    """

    free: int | None
    beside: int | None = None
    is_held: bool = False
    #: The bytes of the first `counted` open uploads: of each owner, and of all of them. They are
    #: counted once, not for every entry that does not fit: both may be many.
    counted: int = 0
    counted_of: Counter[str] = field(default_factory=Counter)
    counted_bytes: int = 0

    def take(self, wanted: int) -> bool:
        """Reserve `wanted` bytes and return True, or return False if there are too few.

        An upload that needs no byte, because it is returning, always succeeds.
        """
        if wanted and not (_is_within(wanted, self.free) and _is_within(wanted, self.beside)):
            return False
        self.free = None if self.free is None else self.free - wanted
        self.beside = None if self.beside is None else self.beside - wanted
        return True

    def hold_for(self, entry: Entry, open_uploads: Sequence[OpenUpload], now: float) -> None:
        """Keep room for `entry`, which does not fit now, if this is its time to hold up others.

        Only the first entry that will fit when others end does so. If a second one could, too, the
        space that both leave over would be less and less, and small uploads would wait for all
        large ones together.
        """
        if self.is_held:
            return
        reach = (self.free or 0) + self._bytes_of_others(entry.owner, open_uploads)
        if entry.bytes > reach:
            return
        self.is_held = True
        begun = holding_since(entry.since, now)
        if begun is not None:
            # Uploads that were admitted in this period took bytes that `entry` leaves over. If
            # `entry` waited for these bytes too, as many could be given away again, and then
            # again, and its wait would never end.
            late = sum(
                other.bytes
                for other in open_uploads
                if other.owner != entry.owner and other.since > begun
            )
            self.beside = max(reach - late - entry.bytes, 0)

    def _bytes_of_others(self, owner: str, open_uploads: Sequence[OpenUpload]) -> int:
        """The bytes of the open uploads of all owners but this one.

        `open_uploads` is the same list in each call; uploads are only ever added to its end.
        """
        for other in open_uploads[self.counted :]:
            self.counted_of[other.owner] += other.bytes
            self.counted_bytes += other.bytes
        self.counted = len(open_uploads)
        return self.counted_bytes - self.counted_of[owner]


def holding_since(since: float, now: float) -> float | None:
    """When the current period began in which an upload, waiting since `since`, holds up others.

    None if it lets others go first at `now`. Both kinds of period alternate and have the same
    length, so an upload holds up others for half of the time. The length grows with its wait: 1
    minute, then 2, 4 and so on up to 64 minutes, and (after the first) at most half of what it
    has waited. Short periods would not help a large upload, because the uploads that
    it waits for take longer than that to end.

    The periods begin at multiples of their length on the clock, not at `since`. Otherwise a
    client could give up and start anew, or queue many uploads, to have one that is always in its
    holding period. On a common clock, all lengths let others go first at the same time: each is a
    power of two minutes, so in the last minute of every 128 every one of them is in an odd period.
    """
    length = SHORTEST_PERIOD
    while length < LONGEST_PERIOD and 4 * length <= now - since:
        length *= 2
    number = now // length
    return number * length if number % 2 == 0 else None


def poll_after(position: int | None, turn: float) -> int:
    """After how many seconds a client at this position should ask again.

    At most half of `turn`, so that a client asks at least once within the time in which an
    admitted upload has to send something. `position` is None for an upload that is not queued.
    """
    most = max(min(POLL_AFTER_AT_MOST, int(turn / 2)), POLL_AFTER)
    return min(POLL_AFTER + (position or 0) // POSITIONS_PER_SECOND, most)


def check_fits_ever(length: int, limits: Limits, space: Space | None) -> None:
    """Raises `TooLarge` or `NeverFits` for a length that does not fit however long it waits.

    `space`: None where there is no volume to fill.
    """
    limits.check_length(length)
    volume = None if space is None else space.total - limits.min_free
    bound = _least(limits.max_reserved, limits.max_reserved_per_owner, volume)
    if bound is not None and length > bound:
        raise NeverFits(limit=max(bound, 0), provided=length)


def free_for_uploads(space: Space | None, limits: Limits) -> int | None:
    """The bytes that uploads may still take; None where there is no volume to fill."""
    return None if space is None else space.free - limits.min_free


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _is_within(wanted: int, bound: int | None) -> bool:
    return bound is None or wanted <= bound
