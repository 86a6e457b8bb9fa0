"""A `Receiver` writes the missing bytes, each once, and knows what they hash to."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.body import Receiver
from wherry.core.digests import crc64, running
from wherry.core.ranges import Part, PartSet, Range

END = 40


@dataclass(frozen=True)
class Request:
    """A file, what is recorded of it, and the range that a request brings in pieces."""

    file: bytes
    recorded: PartSet
    within: Range
    cuts: tuple[int, ...]

    @property
    def gaps(self) -> tuple[Range, ...]:
        return self.recorded.missing(self.within)

    def pieces(self, until: int = END) -> Iterator[memoryview]:
        """The body's bytes, ended at `until`, in one buffer that is used again and again."""
        buffer = bytearray(END)
        for start, end in pairwise((self.within.start, *self.cuts, self.within.end)):
            size = max(0, min(end, until) - start)
            buffer[:size] = self.file[start : start + size]
            with memoryview(buffer)[:size] as view:
                yield view
            buffer[:size] = b"\xff" * size  # the view was valid during the call alone


@st.composite
def requests(draw: st.DrawFn) -> Request:
    file = draw(st.binary(min_size=END, max_size=END))
    received = draw(st.sets(st.integers(0, END - 1)))
    recorded = PartSet.of(Part(i, i + 1, crc64(file[i : i + 1])) for i in received)
    start = draw(st.integers(0, END - 1))
    within = Range(start, draw(st.integers(start + 1, END)))
    cuts = draw(st.lists(st.integers(start, within.end), max_size=8))
    return Request(file, recorded, within, tuple(sorted(cuts)))


class Disk:
    """Remembers what was written where; refuses to write a byte twice."""

    def __init__(self, full_at: int = END) -> None:
        self.bytes: dict[int, int] = {}
        self.full_at = full_at

    def write(self, at: int, data: memoryview) -> None:
        assert len(data) > 0
        if at + len(data) > self.full_at:
            raise OSError("full")
        for i, byte in enumerate(data, at):
            assert i not in self.bytes
            self.bytes[i] = byte


@given(requests())
def test_the_gaps_are_written_and_nothing_else_is(request: Request) -> None:
    disk = Disk()
    receive = Receiver(request.within.start, request.gaps, disk.write)
    for piece in request.pieces():
        receive(piece)
    missing = {i for gap in request.gaps for i in range(gap.start, gap.end)}
    assert disk.bytes == {i: request.file[i] for i in missing}
    assert receive.at == request.within.end


@given(requests())
def test_every_gap_becomes_a_part_with_the_digest_of_its_bytes(request: Request) -> None:
    receive = Receiver(request.within.start, request.gaps, Disk().write)
    for piece in request.pieces():
        receive(piece)
    assert receive.parts(5.0) == tuple(
        Part(gap.start, gap.end, crc64(request.file[gap.start : gap.end]), 5.0)
        for gap in request.gaps
    )


@given(requests(), st.integers(0, END))
def test_of_a_body_that_is_cut_off_exactly_what_came_becomes_parts(
    request: Request, until: int
) -> None:
    disk = Disk()
    receive = Receiver(request.within.start, request.gaps, disk.write)
    for piece in request.pieces(until):
        receive(piece)
    parts = receive.parts(5.0)
    came = set(range(request.within.start, max(until, request.within.start)))
    missing = {i for gap in request.gaps for i in range(gap.start, gap.end)}
    assert {i for part in parts for i in range(part.start, part.end)} == came & missing
    assert all(part.crc == crc64(request.file[part.start : part.end]) for part in parts)
    assert disk.bytes.keys() == came & missing


@given(requests())
def test_what_was_written_can_be_recorded_and_the_whole_has_its_digest(request: Request) -> None:
    receive = Receiver(request.within.start, request.gaps, Disk().write)
    for piece in request.pieces():
        receive(piece)
    recorded = request.recorded
    for part in receive.parts(5.0):
        recorded = recorded.add(part)
    assert recorded.missing(request.within) == ()
    assert recorded.crc == crc64(request.file[: recorded.offset])


@given(requests(), st.integers(0, END))
def test_after_a_failed_write_no_part_has_a_byte_that_was_not_written(
    request: Request, full_at: int
) -> None:
    disk = Disk(full_at)
    receive = Receiver(request.within.start, request.gaps, disk.write)
    try:
        for piece in request.pieces():
            receive(piece)
    except OSError:
        pass
    for part in receive.parts(5.0):
        assert set(range(part.start, part.end)) <= disk.bytes.keys()
        assert part.crc == crc64(request.file[part.start : part.end])


@pytest.mark.parametrize("algorithm", ["crc64nvme", "sha-256"])
@given(requests())
def test_the_announced_digest_runs_over_every_byte_needed_or_not(
    algorithm: str, request: Request
) -> None:
    announced, expected = running(algorithm), running(algorithm)
    receive = Receiver(request.within.start, request.gaps, Disk().write, announced)
    for piece in request.pieces():
        receive(piece)
    expected.update(memoryview(request.file)[request.within.start : request.within.end])
    assert announced.digest() == expected.digest()


def test_a_body_of_nothing_new_writes_nothing() -> None:
    disk = Disk()
    receive = Receiver(3, (), disk.write)
    receive(memoryview(b"abc"))
    assert (disk.bytes, receive.parts(5.0), receive.at) == ({}, (), 6)
