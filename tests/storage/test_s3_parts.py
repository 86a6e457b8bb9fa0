"""Which parts a file has, and how fragments make one."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.digests import crc64
from wherry.core.errors import NeverFits
from wherry.core.limits import GiB, MiB
from wherry.core.ranges import Range
from wherry.storage.s3.parts import (
    LARGEST,
    MOST,
    SMALLEST,
    Fragment,
    count,
    crc_of,
    number_of,
    part_at,
    part_size,
    round_end,
    tiling,
)

#: Where something changes, and its neighbours.
EDGES = sorted(
    edge + beside
    for beside in (-1, 0, 1)
    for edge in (
        1,
        SMALLEST,
        2 * SMALLEST,
        SMALLEST * MOST,
        (SMALLEST + MiB) * MOST,
        100 * GiB,
        5 * 1024 * GiB,
        GiB * MOST,
        LARGEST * MOST - 1,
    )
)


@pytest.mark.parametrize("length", EDGES)
def test_parts_are_equal_and_within_what_s3_allows(length: int) -> None:
    size = part_size(length)
    assert SMALLEST <= size <= LARGEST
    assert count(length, size) <= MOST
    assert size == SMALLEST or (size % MiB == 0 and count(length, size - MiB) > MOST)


@pytest.mark.parametrize("length", [e for e in EDGES if 0 < e <= 3 * SMALLEST])
def test_parts_follow_each_other_from_the_first_byte_to_the_last(length: int) -> None:
    size = part_size(length)
    ranges = [part_at(number, size, length) for number in range(1, count(length, size) + 1)]
    assert ranges[0].start == 0
    assert ranges[-1].end == length
    for before, after in pairwise(ranges):
        assert before.end == after.start
        assert len(before) == size
    for number, within in enumerate(ranges, 1):
        assert number_of(within.start, size) == number_of(within.end - 1, size) == number


def test_a_file_that_needs_larger_parts_than_s3_allows_never_fits() -> None:
    assert part_size(LARGEST * MOST) == LARGEST
    with pytest.raises(NeverFits):
        part_size(LARGEST * MOST + 1)


def test_a_round_ends_where_a_part_does_if_one_does() -> None:
    assert round_end(0, 16 * MiB, 5 * MiB) == 15 * MiB
    assert round_end(15 * MiB, 16 * MiB, 5 * MiB) == 30 * MiB
    assert round_end(1, 16 * MiB, 5 * MiB) == 15 * MiB
    assert round_end(5 * MiB, 5 * MiB, 5 * MiB) == 10 * MiB
    assert round_end(0, 4 * MiB, 5 * MiB) == 4 * MiB
    assert round_end(5 * MiB + 1, 4 * MiB, 5 * MiB) == 9 * MiB + 1


def test_a_fragment_is_found_by_its_name() -> None:
    fragment = Fragment(5, 7_000_000_000_000, (1 << 64) - 1)
    assert Fragment.parse(fragment.name) == fragment
    for name in ("", "assembling", fragment.name + "0", Fragment(5, 5, 1).name):
        assert Fragment.parse(name) is None


@given(st.integers(2, 60), st.integers(0, 5), st.randoms(use_true_random=False))
def test_bytes_that_were_all_recorded_are_found_among_others(
    length: int, others: int, random_: random.Random
) -> None:
    data = bytes(random_.randrange(256) for _ in range(length))

    def fragment(start: int, end: int) -> Fragment:
        return Fragment(start, end, crc64(data[start:end]))

    cuts = sorted({0, length, *random_.sample(range(1, length), min(3, length - 1))})
    recorded = [fragment(a, b) for a, b in pairwise(cuts)]
    found = list(recorded)
    for _ in range(others):
        start = random_.randrange(length)
        found.append(fragment(start, random_.randrange(start + 1, length + 1)))
    random_.shuffle(found)
    row = tiling(found, Range(0, length))
    assert row is not None
    assert crc_of(row) == crc64(data)
    assert [f.start for f in row] == [0, *(f.end for f in row[:-1])]
    assert row[-1].end == length
    lacking = [f for f in found if not f.start <= cuts[0] < f.end]
    assert tiling(lacking, Range(0, length)) is None


def test_many_ways_that_lead_nowhere_are_tried_once_each() -> None:
    ends = [Fragment(start, end, 0) for start in range(60) for end in range(start + 1, 60)]
    assert tiling(ends, Range(0, 100)) is None


def test_of_two_ways_the_newer_one_is_taken() -> None:
    old, new = Fragment(0, 10, 1), Fragment(0, 10, 2)
    assert tiling([new, old], Range(0, 10)) == (new,)
    assert tiling([old, new], Range(0, 10)) == (old,)
