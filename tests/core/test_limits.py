"""Limits refuse what is outside of them, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.errors import ChunkTooSmall, TooLarge
from wherry.core.limits import (
    LARGEST_SIZE,
    GiB,
    KiB,
    Limits,
    MiB,
    Rate,
    Used,
    parse_rate,
    parse_size,
)
from wherry.core.ranges import Range

LIMITS = Limits(max_size=1000, chunk_size=200, min_chunk=100, max_chunk=300)


@pytest.mark.parametrize("length", [0, 999, 1000])
def test_a_file_up_to_the_limit_is_accepted(length: int) -> None:
    LIMITS.check_length(length)


def test_a_file_of_one_byte_more_is_too_large() -> None:
    with pytest.raises(TooLarge) as caught:
        LIMITS.check_length(1001)
    assert caught.value == TooLarge(limit=1000, provided=1001, scope="file")


def test_without_a_limit_no_file_is_too_large() -> None:
    Limits(max_size=None).check_length(LARGEST_SIZE)


@pytest.mark.parametrize("size", [100, 300])
def test_a_chunk_of_exactly_a_bound_is_accepted(size: int) -> None:
    LIMITS.check_chunk(Range(0, size), 1000)


@given(start=st.integers(0, 2000), size=st.integers(1, 400), length=st.none() | st.integers(1, 999))
def test_a_chunk_is_between_its_bounds_or_ends_the_file(
    start: int, size: int, length: int | None
) -> None:
    chunk = Range(start, start + size)
    if size > 300:
        with pytest.raises(TooLarge) as large:
            LIMITS.check_chunk(chunk, length)
        assert large.value == TooLarge(limit=300, provided=size, scope="request")
    elif size < 100 and chunk.end != length:
        with pytest.raises(ChunkTooSmall) as small:
            LIMITS.check_chunk(chunk, length)
        assert small.value == ChunkTooSmall(minimum=100, provided=size)
    else:
        LIMITS.check_chunk(chunk, length)


@given(st.none() | st.integers(0, 1 << 70))
def test_a_client_gets_the_chunk_size_it_wants_where_that_is_allowed(wanted: int | None) -> None:
    given_size = LIMITS.chunk_size_for(wanted)
    assert 100 <= given_size <= 300
    assert given_size == (wanted or 200) or not 100 <= (wanted or 200) <= 300


def test_a_client_without_a_wish_gets_the_default_chunk_size() -> None:
    assert LIMITS.chunk_size_for(None) == 200
    assert Limits().chunk_size_for(None) == 5 * MiB
    assert Limits().chunk_size_for(1) == 64 * KiB
    assert Limits().chunk_size_for(1 << 40) == 64 * MiB


def test_two_of_the_largest_numbers_fit_into_64_bits() -> None:
    assert 2 * LARGEST_SIZE < 1 << 63


@pytest.mark.parametrize(
    ("minimum", "offered", "maximum"), [(0, 1, 2), (2, 1, 3), (1, 3, 2), (5, 4, 3)]
)
def test_chunk_sizes_that_contradict_each_other_are_refused_at_the_start(
    minimum: int, offered: int, maximum: int
) -> None:
    with pytest.raises(ValueError, match="min_chunk <= chunk_size <= max_chunk"):
        Limits(min_chunk=minimum, chunk_size=offered, max_chunk=maximum)


def test_sizes_are_read_with_and_without_units() -> None:
    assert parse_size("5242880") == parse_size("5MiB") == parse_size("5 mb") == 5 * MiB
    assert (parse_size("64k"), parse_size("1GiB"), parse_size("0")) == (64 * KiB, GiB, 0)


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1.5MiB", "5 TiB", "५", "1_000"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


def test_a_rate_is_an_amount_in_a_period() -> None:
    assert parse_rate("60/hour") == parse_rate(" 60 / hour ") == Rate(60, "hour")
    assert parse_rate("10GiB/day", is_size=True) == Rate(10 * GiB, "day")
    assert (str(Rate(60, "hour")), Rate(60, "hour").seconds) == ("60/hour", 3600)


@pytest.mark.parametrize(
    "text",
    ["", "60", "/hour", "0/hour", "-1/hour", "60/fortnight", "many/hour", "1.5/hour", "5MiB/day"],
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)


def test_waiting_for_a_rate_takes_at_least_a_second_and_at_most_its_period() -> None:
    rate = Rate(60, "hour")
    assert [rate.wait_for(n) for n in (0, 1, 2, 59, 600)] == [1, 60, 120, 59 * 60, 3600]


def test_what_a_period_has_used_counts_less_and_less_in_the_next_one() -> None:
    used = Used(60, 10).take(30, 30, 30, 610.0)
    assert used.take(1, 1, 30, 659.9).taken == 0
    assert used.take(1, 30, 30, 660.0).taken == 0
    assert used.take(1, 30, 30, 675.0).taken == 8  # a quarter of the period is over
    assert used.take(1, 30, 30, 720.0).taken == 30


def test_of_what_is_wanted_as_much_is_taken_as_there_is() -> None:
    used = Used(60, 10).take(1, 25, 30, 610.0)
    assert used.taken == 25
    assert used.take(6, 10, 30, 610.0).taken == 0
    assert used.take(5, 10, 30, 610.0) == Used(60, 10, 30, 0, 5)


def test_a_clock_that_is_a_little_behind_ends_no_period() -> None:
    used = Used(60, 11, amount=10, before=15)
    assert used.take(1, 30, 30, 659.0) == Used(60, 11, 15, 15, 5)


def test_a_clock_that_was_set_back_refuses_nobody_for_long() -> None:
    assert Used(60, 1000, amount=30).take(30, 30, 30, 610.0) == Used(60, 10, 30, 0, 30)


def test_what_is_given_back_is_free_again_also_in_the_next_period() -> None:
    used = Used(60, 10, amount=3, before=4)
    assert used.give_back(2) == Used(60, 10, 1, 4)
    assert used.give_back(5) == Used(60, 10, 0, 2)
    assert used.give_back(9) == Used(60, 10, 0, 0)


@given(
    st.lists(st.tuples(st.floats(0, 300), st.integers(1, 20), st.integers(0, 20))),
    st.sampled_from([1, 60]),
)
def test_no_period_uses_more_than_the_rate(
    asked: list[tuple[float, int, int]], seconds: int
) -> None:
    used, by_period = Used(seconds, 0), dict[int, int]()
    for now, least, more in sorted(asked):
        used = used.take(least, least + more, 20, now)
        assert used.taken == 0 or least <= used.taken <= least + more
        by_period[used.period] = by_period.get(used.period, 0) + used.taken
    assert max(by_period.values(), default=0) <= 20
