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
from itertools import islice

from wherry.core.digests import EMPTY_CRC, combine


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


@dataclass(frozen=True, slots=True)
class PartSet:
    """The parts of an upload. Every method returns a new set and leaves this one unchanged."""

    parts: tuple[Part, ...] = ()

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

    def add(self, new: Part) -> PartSet:
        """This set with `new`, merged with its neighbours. Raises `ValueError` on an overlap."""
        # `at` is where `new` belongs in the order of starts. Only the parts on both sides of it
        # can overlap `new` or touch it, because the others are behind these.
        at = bisect_left(self.parts, new.start, key=lambda part: part.start)
        before, after = self.parts[:at], self.parts[at:]
        if (before and before[-1].end > new.start) or (after and after[0].start < new.end):
            raise ValueError(f"{new} overlaps what is there")
        if before and before[-1].end == new.start:
            new, before = before[-1].then(new), before[:-1]
        if after and after[0].start == new.end:
            new, after = new.then(after[0]), after[1:]
        return PartSet((*before, new, *after))

    @property
    def offset(self) -> int:
        """How many bytes are safe from byte 0 on, up to the first gap."""
        return self.parts[0].end if self.parts and self.parts[0].start == 0 else 0

    @property
    def end(self) -> int:
        """The end of the last part, whatever gaps are before it."""
        return self.parts[-1].end if self.parts else 0

    @property
    def size(self) -> int:
        """How many bytes are safe in all."""
        return sum(part.end - part.start for part in self.parts)

    @property
    def last_at(self) -> float | None:
        """When the newest part was made safe, by the deadline clock; None: there is no part."""
        return max((part.at for part in self.parts), default=None)

    @property
    def crc(self) -> int:
        """The digest of bytes 0 to `offset`."""
        return self.parts[0].crc if self.offset else EMPTY_CRC

    def missing(self, within: Range, most: int | None = None) -> tuple[Range, ...]:
        """The gaps inside `within`, in order; with `most`, at most so many, from the first on."""
        gaps: list[Range] = []
        # `at` moves through `within`: every byte before it is safe, or is in one of `gaps`. The
        # search skips the parts that end at or before the start. An upload may have thousands.
        at = within.start
        first = bisect_right(self.parts, within.start, key=lambda part: part.end)
        for part in islice(self.parts, first, None):
            if part.start >= within.end or len(gaps) == most:
                break
            if at < part.start:
                gaps.append(Range(at, part.start))
            at = part.end
        if at < within.end and len(gaps) != most:
            gaps.append(Range(at, within.end))
        return tuple(gaps)
