"""Byte ranges without their bytes: what is missing, what two lists have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wherry.core.ranges import Range


def gaps(ranges: Iterable[Range], length: int) -> list[Range]:
    """The bytes from 0 to `length` that lie in none of `ranges`."""
    found, at = [], 0
    for known in merge(ranges):
        if at < known.start:
            found.append(Range(at, known.start))
        at = known.end
    return [*found, Range(at, length)] if at < length else found


def overlap(some: Iterable[Range], others: Sequence[Range]) -> list[Range]:
    """The bytes that lie in both; each of them sorted and without overlap."""
    both = (
        (max(one.start, other.start), min(one.end, other.end)) for one in some for other in others
    )
    return [Range(start, end) for start, end in both if start < end]


def merge(ranges: Iterable[Range]) -> list[Range]:
    """The same bytes as sorted ranges that neither overlap nor touch."""
    merged: list[Range] = []
    for new in sorted(ranges):
        if merged and new.start <= merged[-1].end:
            new = Range(merged[-1].start, max(merged.pop().end, new.end))  # noqa: PLW2901
        merged.append(new)
    return merged
