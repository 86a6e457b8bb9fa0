"""Which bytes of an upload are safe, and their digests.

Rule 1: the parts of a `PartSet` are sorted, do not overlap, and are merged as soon as they touch.
So two sets of the same bytes are equal in whatever order the bytes came, and a file without gaps
is a single part, whose CRC is the CRC of the file.

Rule 2: merging needs no bytes. The CRC of two neighbours is computed from both CRCs and the
length of the second one (`digests.combine`).

Rule 3: parts never overlap, because a request writes only into the gaps of its range. An overlap
is a fault in the code and raises `ValueError`: a part with bytes that count twice would have a
CRC that no file has.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice

from wherry.core.digests import EMPTY_CRC, combine

#: How many parts a block of a set has, at most.
_BLOCK = 128


@dataclass(frozen=True, order=True, slots=True)
class Range:
    """The bytes from `start` up to `end`, which is not included; one byte at least.

    Raises `ValueError` for an empty or negative range.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"empty or backward range {self.start}-{self.end}")

    def __len__(self) -> int:
        return self.end - self.start

    def overlaps(self, other: Range) -> bool:
        """Whether both have a byte in common. Ranges that only touch do not overlap."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Part:
    """A received range, its CRC-64/NVME, and when it was made safe (by the deadline clock)."""

    start: int
    end: int
    crc: int
    at: float = 0.0

    @property
    def range(self) -> Range:
        return Range(self.start, self.end)

    def then(self, other: Part) -> Part:
        """This part and the one that follows it, as one part. Raises `ValueError` for a gap."""
        if other.start != self.end:
            raise ValueError(f"{other} does not follow {self}")
        crc = combine(self.crc, other.crc, other.end - other.start)
        return Part(self.start, other.end, crc, max(self.at, other.at))


class PartSet:
    """The parts of an upload. Every method returns a new set and leaves this one unchanged."""

    # There may be thousands of parts, and each chunk adds one. So they are kept in blocks of which
    # two sets share those that are the same in both, and what would have to be added up is known.
    __slots__ = ("_blocks", "_parts", "count", "last_at", "size")

    #: How many parts there are, with gaps between them.
    count: int
    #: How many bytes are safe in all.
    size: int
    #: When the newest part was made safe, by the deadline clock; None: there is no part.
    last_at: float | None

    def __init__(self, parts: tuple[Part, ...] = ()) -> None:
        """`parts` as the rules say. `of` makes a set of others."""
        self._parts: tuple[Part, ...] | None = parts
        self._blocks = _split(parts)
        self.count = len(parts)
        self.size = sum([part.end - part.start for part in parts])
        self.last_at = max([part.at for part in parts], default=None)

    @classmethod
    def of(cls, parts: Iterable[Part]) -> PartSet:
        """A set of disjoint parts, in any order. Raises `ValueError` if two overlap."""
        merged: list[Part] = []
        for part in sorted(parts, key=lambda part: part.start):
            if merged and merged[-1].end > part.start:
                raise ValueError(f"{part} overlaps {merged[-1]}")
            if merged and merged[-1].end == part.start:
                merged[-1] = merged[-1].then(part)
            else:
                merged.append(part)
        return cls(tuple(merged))

    @property
    def parts(self) -> tuple[Part, ...]:
        """All of them, in order. The first call on a set takes time for each."""
        if self._parts is None:
            self._parts = tuple(chain.from_iterable(self._blocks))
        return self._parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartSet) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __repr__(self) -> str:
        return f"PartSet({self.parts!r})"

    def add(self, new: Part) -> PartSet:
        """This set with `new`, merged with its neighbours. Raises `ValueError` on an overlap."""
        # Only the parts on both sides of `new` can overlap it or touch it. The one before is in the
        # last block that begins at `new` or before. The one after may be the first of the next.
        here = self._block_at(new.start)
        near = self._blocks[here] if self._blocks else ()
        at = bisect_left(near, new.start, key=_start)
        if at == len(near) and here + 1 < len(self._blocks):
            near += self._blocks[here + 1][:1]
        before = near[at - 1] if at else None
        after = near[at] if at < len(near) else None
        if (before and before.end > new.start) or (after and after.start < new.end):
            raise ValueError(f"{new} overlaps what is there")
        if before and before.end == new.start:
            new = before.then(new)
        if after and after.start == new.end:
            new = new.then(after)
        return self.replacing(new)

    def replacing(self, whole: Part) -> PartSet:
        """This set with `whole` in the place of the parts that lie inside it."""
        first = self._block_at(whole.start)
        last = bisect_left(self._blocks, whole.end, first, key=_first_start)
        near = tuple(chain.from_iterable(self._blocks[first:last]))
        at = bisect_left(near, whole.start, key=_start)
        behind = bisect_left(near, whole.end, at, key=_start)
        blocks = _split((*near[:at], whole, *near[behind:]))
        inside = sum([part.end - part.start for part in near[at:behind]])
        made = PartSet.__new__(PartSet)
        made._parts = None
        made._blocks = (*self._blocks[:first], *blocks, *self._blocks[max(first, last) :])
        made.count = self.count + 1 - (behind - at)
        made.size = self.size + whole.end - whole.start - inside
        made.last_at = whole.at if self.last_at is None else max(self.last_at, whole.at)
        return made

    def stretches(self) -> list[tuple[int, int]]:
        """The file in stretches with about as many parts in each, the last one without an end.

        For each, where it begins, and how many bytes are safe before it. None begins in a part.
        """
        found, safe = [], 0
        for number, block in enumerate(self._blocks):
            found.append((block[0].start if number else 0, safe))
            safe += sum([part.end - part.start for part in block])
        return found or [(0, 0)]

    def changes_to(self, after: PartSet) -> tuple[list[Part], list[Part]]:
        """The parts that are only in this set, and those that are only in `after`.

        Parts are compared by identity. What both sets share is passed over in blocks.
        """
        if self is after:
            return [], []
        mine, theirs = set(map(id, self._blocks)), set(map(id, after._blocks))
        old = [part for block in self._blocks if id(block) not in theirs for part in block]
        new = [part for block in after._blocks if id(block) not in mine for part in block]
        kept = set(map(id, old)).intersection(map(id, new))
        gone = [part for part in old if id(part) not in kept]
        return gone, [part for part in new if id(part) not in kept]

    @property
    def offset(self) -> int:
        """How many bytes are safe from byte 0 on, up to the first gap."""
        first = self._blocks[0][0] if self._blocks else None
        return first.end if first is not None and first.start == 0 else 0

    @property
    def end(self) -> int:
        """The end of the last part, whatever gaps are before it."""
        return self._blocks[-1][-1].end if self._blocks else 0

    @property
    def crc(self) -> int:
        """The digest of bytes 0 to `offset`."""
        return self._blocks[0][0].crc if self.offset else EMPTY_CRC

    def missing(self, within: Range, most: int | None = None) -> tuple[Range, ...]:
        """The gaps inside `within`, in order; with `most`, at most so many, from the first on."""
        gaps: list[Range] = []
        # `at` moves through `within`: every byte before it is safe, or is in one of `gaps`. The
        # search begins in the last block that begins at the start or before; of the parts there,
        # it passes over those that end at or before the start.
        at = within.start
        for part in chain.from_iterable(islice(self._blocks, self._block_at(at), None)):
            if part.end <= within.start:
                continue
            if part.start >= within.end or len(gaps) == most:
                break
            if at < part.start:
                gaps.append(Range(at, part.start))
            at = part.end
        if at < within.end and len(gaps) != most:
            gaps.append(Range(at, within.end))
        return tuple(gaps)

    def _block_at(self, start: int) -> int:
        """The last block that begins at `start` or before; the first one if none does."""
        return max(bisect_right(self._blocks, start, key=_first_start) - 1, 0)


def _split(parts: tuple[Part, ...]) -> tuple[tuple[Part, ...], ...]:
    """Blocks of these parts, up to `_BLOCK` in each."""
    if len(parts) <= _BLOCK:
        return (parts,) if parts else ()
    # Half full, so that there is room for parts between them.
    size = _BLOCK // 2
    return tuple(parts[first : first + size] for first in range(0, len(parts), size))


def _start(part: Part) -> int:
    return part.start


def _first_start(block: tuple[Part, ...]) -> int:
    return block[0].start
