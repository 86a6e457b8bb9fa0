"""Which parts a file is kept in: arithmetic, and the names of fragments.

Rule 1: all parts of a file have one size, but for the last. Cloudflare R2 wants that, and the
others allow it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wherry.core.digests import combine
from wherry.core.errors import NeverFits
from wherry.core.limits import GiB, MiB
from wherry.core.ranges import Range

#: What S3 allows: bytes of a part (but for the last), and parts of an object.
SMALLEST, LARGEST, MOST = 5 * MiB, 5 * GiB, 10_000

_FRAGMENT = re.compile(r"(\d{20})-(\d{20})-([0-9a-f]{16})")


def part_size(length: int) -> int:
    """The size of the parts of a file of `length` bytes. Raises `NeverFits`.

    The smallest that S3 allows, so that chunks of the usual size are parts; for larger files a
    whole number of MiB.
    """
    if length > LARGEST * MOST:
        raise NeverFits(LARGEST * MOST, length)
    needed = -(-length // MOST)
    return max(SMALLEST, -(-needed // MiB) * MiB)


def part_at(number: int, size: int, length: int) -> Range:
    """Where part `number` (from 1 on) is in a file of `length` bytes. Raises `ValueError`."""
    return Range((number - 1) * size, min(number * size, length))


def number_of(at: int, size: int) -> int:
    """The number of the part that has byte `at`."""
    return at // size + 1


def count(length: int, size: int) -> int:
    """How many parts a file of `length` bytes has."""
    return -(-length // size)


def round_end(at: int, most: int, size: int) -> int:
    """The last end of a part up to `most` bytes after `at`; `most` bytes after if there is none."""
    boundary = (at + most) // size * size
    return boundary if boundary > at else at + most


@dataclass(frozen=True, order=True, slots=True)
class Fragment:
    """Some bytes of a part, as an object of their own. `crc`: their CRC-64/NVME."""

    start: int
    end: int
    crc: int

    @property
    def name(self) -> str:
        return f"{self.start:020}-{self.end:020}-{self.crc:016x}"

    @classmethod
    def parse(cls, name: str) -> Fragment | None:
        """The inverse of `name`; None for anything else."""
        found = _FRAGMENT.fullmatch(name)
        if found is None or int(found[1]) >= int(found[2]):
            return None
        return cls(int(found[1]), int(found[2]), int(found[3], 16))


def tiling(newest_first: Iterable[Fragment], within: Range) -> tuple[Fragment, ...] | None:
    """Fragments that follow each other from the start of `within` to its end; None if there are
    none such.

    All recorded bytes of a part are in fragments that do not overlap, because only gaps are
    written. So if all bytes are recorded, such a row exists. There may be others beside it, of
    requests whose record was never made. Of two ways to go on, the newer one is taken.
    """
    following: dict[int, list[Fragment]] = {}
    for fragment in newest_first:
        if within.start <= fragment.start and fragment.end <= within.end:
            following.setdefault(fragment.start, []).append(fragment)
    row: list[Fragment] = []
    ways: list[Iterator[Fragment]] = [iter(following.get(within.start, ()))]
    dead = set[int]()  # no row from here reaches the end
    while ways:
        step = next((f for f in ways[-1] if f.end not in dead), None)
        if step is None:
            ways.pop()
            if row:
                dead.add(row.pop().end)
            continue
        row.append(step)
        if step.end == within.end:
            return tuple(row)
        ways.append(iter(following.get(step.end, ())))
    return None


def crc_of(row: Iterable[Fragment]) -> int:
    """The CRC-64/NVME of fragments that follow each other."""
    crc = 0
    for fragment in row:
        crc = combine(crc, fragment.crc, fragment.end - fragment.start)
    return crc
