"""A `PartSet` is a set of byte indices that knows what the bytes hash to."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.digests import EMPTY_CRC, crc64
from wherry.core.ranges import Part, PartSet, Range

LENGTH = 40


def indices(ranges: Iterable[Range | Part]) -> list[int]:
    return [i for r in ranges for i in range(r.start, r.end)]


def runs(received: set[int], within: range) -> list[tuple[int, int]]:
    """The longest runs of received bytes: the model's own way of merging."""
    starts = [i for i in within if i in received and i - 1 not in received]
    ends = [i + 1 for i in within if i in received and i + 1 not in received]
    return list(zip(starts, ends, strict=True))


@dataclass(frozen=True)
class Arrivals:
    """A file, and some disjoint parts of it in the order in which they came."""

    data: bytes
    parts: tuple[Part, ...]

    @property
    def received(self) -> set[int]:
        return set(indices(self.parts))


@st.composite
def arrivals(draw: st.DrawFn) -> Arrivals:
    data = draw(st.binary(min_size=LENGTH, max_size=LENGTH))
    cuts = sorted(draw(st.sets(st.integers(1, LENGTH - 1))) | {0, LENGTH})
    whole = [Range(start, end) for start, end in pairwise(cuts)]
    some = [piece for piece in draw(st.permutations(whole)) if draw(st.booleans())]
    times = draw(st.permutations([float(r.start) for r in some]))
    parts = (
        Part(r.start, r.end, crc64(data[r.start : r.end]), at)
        for r, at in zip(some, times, strict=True)
    )
    return Arrivals(data, tuple(parts))


ranges = st.tuples(st.integers(0, LENGTH - 1), st.integers(1, LENGTH)).map(
    lambda pair: Range(pair[0], pair[0] + pair[1])
)


@given(arrivals())
def test_parts_in_any_order_give_the_longest_runs_each_with_its_own_digest(came: Arrivals) -> None:
    found = PartSet.of(came.parts)
    assert [(part.start, part.end) for part in found.parts] == runs(came.received, range(LENGTH))
    for part in found.parts:
        assert part.crc == crc64(came.data[part.start : part.end])


@given(arrivals(), st.sampled_from([2, 3, 128]))
def test_one_part_after_the_other_leaves_what_all_at_once_do(came: Arrivals, block: int) -> None:
    """Also in blocks so small that parts are merged across their ends."""
    with patch("wherry.core.ranges._BLOCK", block):
        found = PartSet()
        for number, part in enumerate(came.parts, 1):
            before, found = found, found.add(part)
            at_once = PartSet.of(came.parts[:number])
            assert found == at_once
            assert hash(found) == hash(at_once)
            assert facts(found) == facts(at_once)
            gone, new = before.changes_to(found)
            assert set(before.parts) - set(gone) | set(new) == set(found.parts)
            assert len(gone) <= 2
            assert len(new) == 1
        everything = Range(0, LENGTH)
        for within in (everything, *found.missing(everything), *(p.range for p in found.parts)):
            assert found.missing(within) == PartSet.of(came.parts).missing(within)


@given(arrivals(), ranges, st.sampled_from([2, 3, 128]))
def test_a_part_takes_the_place_of_those_inside_it(came: Arrivals, wide: Range, block: int) -> None:
    with patch("wherry.core.ranges._BLOCK", block):
        before = PartSet()
        for part in came.parts:
            before = before.add(part)
        # As a grown part does, it has all bytes of those that it touches.
        touched = [
            part for part in before.parts if wide.start <= part.end and part.start <= wide.end
        ]
        start = min([wide.start, *(part.start for part in touched)])
        whole = Part(start, max([wide.end, *(part.end for part in touched)]), 7, 99.0)
        found = before.replacing(whole)
        expected = PartSet.of([*(set(before.parts) - set(touched)), whole])
    assert found == expected
    assert facts(found) == facts(expected)


@given(arrivals(), st.sampled_from([2, 128]))
def test_stretches_are_the_whole_file_and_cut_no_part(came: Arrivals, block: int) -> None:
    with patch("wherry.core.ranges._BLOCK", block):
        found = PartSet.of(came.parts)
        stretches = found.stretches()
    assert stretches[0] == (0, 0)
    for begin, safe in stretches:
        assert safe == len([i for i in came.received if i < begin])
        assert not any(part.start < begin < part.end for part in found.parts)


def facts(found: PartSet) -> tuple[object, ...]:
    return found.count, found.size, found.last_at, found.offset, found.end, found.crc


def test_a_part_among_thousands_touches_few_of_them() -> None:
    many = PartSet.of(Part(at, at + 1, at) for at in range(0, 20_000, 2))
    assert many.changes_to(many) == ([], [])
    joined = many.add(Part(10_001, 10_002, 1))
    gone, new = many.changes_to(joined)
    assert [(part.start, part.end) for part in gone] == [(10_000, 10_001), (10_002, 10_003)]
    assert [(part.start, part.end) for part in new] == [(10_000, 10_003)]
    shared = set(map(id, many._blocks)) & set(map(id, joined._blocks))
    assert len(shared) >= len(many._blocks) - 2


@given(arrivals(), st.data())
def test_the_order_of_arrival_leaves_no_trace(came: Arrivals, data: st.DataObject) -> None:
    another_order = data.draw(st.permutations(came.parts))
    assert PartSet.of(another_order) == PartSet.of(came.parts)


@given(arrivals())
def test_what_is_asked_of_it_is_what_the_bytes_say(came: Arrivals) -> None:
    found, received = PartSet.of(came.parts), came.received
    offset = next(i for i in range(LENGTH + 1) if i not in received)
    assert found.offset == offset
    assert found.size == len(received)
    assert found.end == max(received, default=-1) + 1
    assert found.crc == crc64(came.data[:offset])
    assert found.last_at == max((part.at for part in came.parts), default=None)


@given(arrivals(), ranges)
def test_missing_is_every_byte_inside_that_has_not_come(came: Arrivals, within: Range) -> None:
    gaps = PartSet.of(came.parts).missing(within)
    inside = range(within.start, within.end)
    assert [(gap.start, gap.end) for gap in gaps] == runs(set(inside) - came.received, inside)


@given(arrivals(), ranges, st.integers(0, LENGTH))
def test_of_many_gaps_the_first_can_be_asked_for(came: Arrivals, within: Range, most: int) -> None:
    found = PartSet.of(came.parts)
    assert found.missing(within, most) == found.missing(within)[:most]


@given(arrivals(), ranges)
def test_a_byte_is_never_taken_twice(came: Arrivals, again: Range) -> None:
    found = PartSet.of(came.parts)
    new = Part(again.start, again.end, 0)
    if came.received & set(indices([again])):
        with pytest.raises(ValueError, match="overlaps"):
            found.add(new)
    else:
        assert set(indices(found.add(new).parts)) == came.received | set(indices([again]))


@given(ranges, ranges)
def test_two_ranges_overlap_when_they_share_a_byte(one: Range, other: Range) -> None:
    assert one.overlaps(other) == bool(set(indices([one])) & set(indices([other])))
    assert one.overlaps(other) == other.overlaps(one)


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_a_range_has_at_least_one_byte(start: int, end: int) -> None:
    if 0 <= start < end:
        assert len(Range(start, end)) == end - start
    else:
        with pytest.raises(ValueError, match="empty or backward"):
            Range(start, end)


def test_nothing_has_come_yet_of_a_new_upload() -> None:
    empty = PartSet()
    assert (empty.offset, empty.end, empty.size, empty.crc, empty.last_at) == (
        *(0, 0, 0),
        EMPTY_CRC,
        None,
    )


@pytest.mark.parametrize("start", [3, 5, 0])
def test_only_neighbours_can_be_joined(start: int) -> None:
    with pytest.raises(ValueError, match="does not follow"):
        Part(0, 4, 0).then(Part(start, 9, 0))
