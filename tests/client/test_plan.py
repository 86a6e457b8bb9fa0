"""The algorithm, in simulated networks: every second and every failure is chosen here."""

from __future__ import annotations

from functools import partial
from itertools import cycle

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.client.network import FAILED, REFUSED, RESET, TROUBLES, Network, a_plan, known, play

from wherry.client.backoff import Backoff
from wherry.client.chunk_size import FAST, FIRST, FLOOR, PIECE, WHOLE, ChunkSize
from wherry.client.errors import (
    ClientError,
    GaveUp,
    NotConnected,
    TimedOut,
    TooLarge,
)
from wherry.client.plan import Plan
from wherry.client.ranges import gaps, merge
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range

# What it is for.


@settings(max_examples=300, deadline=None)
@given(
    length=st.integers(1, 60 * FLOOR),
    limit=st.integers(FLOOR, 40 * FLOOR),
    preferred=st.integers(1, 40 * FLOOR),
    troubles=st.lists(st.sampled_from(TROUBLES), max_size=12),
    resets=st.booleans(),
    had=st.lists(st.tuples(st.integers(0, 60 * FLOOR), st.integers(1, 10 * FLOOR)), max_size=4),
    seconds=st.lists(st.floats(0.0, 90.0), min_size=1, max_size=50),
)
def test_whatever_goes_wrong_on_the_way_every_byte_arrives(  # noqa: PLR0917
    length: int,
    limit: int,
    preferred: int,
    troubles: list[str],
    resets: bool,
    had: list[tuple[int, int]],
    seconds: list[float],
) -> None:
    there = [Range(a, min(a + n, length)) for a, n in had if a < length]
    plan = a_plan(length, ChunkSize(preferred=preferred), gaps(there, length), patience=3000.0)
    network = Network(limit, troubles, resets, arrived=merge(there))
    play(plan, network, partial(next, cycle(seconds)))
    assert network.arrived == [Range(0, length)]
    for sent in network.tried:
        assert len(sent) >= FLOOR or sent.end == length, "below the server's minimum"


@settings(deadline=None)
@given(limit=st.integers(FLOOR, 8 * MiB), length=st.integers(1, 50 * MiB), resets=st.booleans())
def test_no_limit_costs_more_than_one_refusal(limit: int, length: int, resets: bool) -> None:
    network = Network(limit, resets=resets)
    play(a_plan(length), network)
    assert len(network.refused) <= 1


@settings(deadline=None)
@given(limit=st.integers(FLOOR, 8 * MiB), length=st.integers(1, 50 * MiB))
def test_a_refused_body_that_is_sent_to_its_end_is_at_most_twice_what_has_passed(
    limit: int, length: int
) -> None:
    network, size = Network(limit), ChunkSize()
    size.path.is_early = False
    play(a_plan(length, size), network)
    assert sum(network.refused) <= max(FIRST, 2 * limit)


@settings(deadline=None)
@given(limit=st.integers(MiB, 8 * MiB), length=st.integers(1, 300 * MiB), early=st.booleans())
def test_above_one_mebibyte_a_refusal_costs_at_most_one_percent(
    limit: int, length: int, early: bool
) -> None:
    network, size = Network(limit), ChunkSize()
    size.path.is_early = early
    play(a_plan(length, size), network)
    thrown_away = sum(PIECE if early else refused for refused in network.refused)
    assert thrown_away <= length / 100


@settings(deadline=None)
@given(limit=st.integers(FLOOR, 8 * MiB), length=st.integers(1, 50 * MiB), early=st.booleans())
def test_a_known_path_refuses_nothing(limit: int, length: int, early: bool) -> None:
    size = ChunkSize()
    size.path.is_early = early
    play(a_plan(50 * MiB, size), Network(limit))
    network = Network(limit)
    play(a_plan(length, size), network)
    assert not network.refused


def test_one_mebibyte_is_found_with_one_refusal() -> None:
    network = Network(limit=MiB)
    play(a_plan(100 * MiB), network)
    assert network.refused == [2 * MiB]
    assert [len(sent) for sent in network.tried[:2]] == [FIRST, 2 * FIRST]
    assert max(map(len, network.tried[20:])) == MiB


def test_without_a_limit_nothing_is_refused_and_nothing_sent_twice() -> None:
    network = Network(limit=64 * MiB)
    play(a_plan(53 * MiB), network)
    assert not network.refused
    assert sum(map(len, network.tried)) == 53 * MiB
    assert len(network.tried) == 29


@settings(deadline=None)
@given(
    rate=st.floats(11 * KiB, 100 * MiB),
    length=st.integers(1, 100 * MiB),
    told=st.none() | st.integers(FLOOR, 8 * MiB),
    refuses=st.none() | st.integers(FLOOR, 16 * MiB),
)
@example(rate=100.0 * KiB, length=50 * MiB, told=5 * MiB, refuses=None)
def test_no_chunk_takes_longer_than_25_seconds_on_a_line_of_any_speed(
    rate: float, length: int, told: int | None, refuses: int | None
) -> None:
    """Four chunks at once share the line, so each takes as long as all that fly."""
    plan, now = a_plan(length), 0.0
    plan.size.told(told, refuses)
    while not plan.is_done:
        flying = []
        while (chunk := plan.next(now)) is not None:
            flying.append(chunk)
        now += sum(len(chunk.range) for chunk in flying) / rate
        for chunk in flying:
            assert now - chunk.began <= 5 * FAST + 0.01
            plan.passed(chunk, now)


# Order.


def test_the_first_chunk_flies_alone_and_then_four() -> None:
    plan = a_plan(100 * MiB)
    first = plan.next(0.0)
    assert first is not None
    assert plan.next(0.0) is None
    plan.passed(first, 1.0)
    assert [plan.next(1.0) is not None for _ in range(5)] == [True] * 4 + [False]


def test_where_the_speed_is_unknown_one_small_chunk_tells_it() -> None:
    for rate, then in ((100 * MiB, 5 * MiB), (100 * KiB, 448 * KiB)):
        plan = a_plan(100 * MiB)
        plan.size.told(5 * MiB, None)
        first = plan.next(0.0)
        assert first is not None
        assert len(first.range) == FIRST
        assert plan.next(0.0) is None, "alone"
        took = FIRST / rate
        plan.passed(first, took)
        flying = [plan.next(took) for _ in range(4)]
        assert [chunk and len(chunk.range) for chunk in flying] == [then] * 4


def test_of_a_wide_path_nothing_larger_goes_in_one_request_until_its_speed_is_known() -> None:
    size = ChunkSize()
    size.told(5 * MiB, None)
    assert [size.takes_whole(n) for n in (WHOLE, WHOLE + 1)] == [True, False]
    size.note_passed(WHOLE, 0.1)
    assert size.takes_whole(5 * MiB)


def test_a_tiny_file_says_nothing_of_the_speed() -> None:
    size = ChunkSize()
    size.note_passed(3000, 0.5)
    assert size.path.pace is None


def test_a_path_that_is_known_needs_no_first_chunk_alone() -> None:
    plan = a_plan(100 * MiB, known())
    assert [plan.next(0.0) is not None for _ in range(5)] == [True] * 4 + [False]


def test_a_size_learned_with_one_file_serves_the_next() -> None:
    size = ChunkSize()
    play(a_plan(20 * MiB, size), Network(MiB))
    network = Network(MiB)
    play(a_plan(20 * MiB, size), network)
    assert not network.refused


def test_what_flies_in_a_refused_size_is_cut_again_once() -> None:
    size = known()
    plan = a_plan(20 * MiB, size)
    flying = [plan.next(0.0) for _ in range(4)]
    for chunk in flying:
        assert chunk is not None
        assert plan.failed(chunk, REFUSED, 1.0, 1.0)
    again = plan.next(1.0)
    assert again is not None
    assert len(again.range) == FIRST
    assert plan.next(1.0) is None, "the way has changed, so the new size flies alone"


# Sizes.


def test_a_reset_of_a_size_that_never_passed_is_a_refusal() -> None:
    plan = a_plan(20 * MiB)
    chunk = plan.next(0.0)
    assert chunk is not None
    plan.failed(chunk, RESET, 1.0, 1.0)
    assert plan.looked([]) == FIRST
    assert plan.chunk_size == FLOOR


@pytest.mark.parametrize("error", [RESET, FAILED])
def test_while_the_server_is_away_sizes_are_not_blamed(error: ClientError) -> None:
    plan = a_plan(20 * MiB)
    chunk = plan.next(0.0)
    assert chunk is not None
    plan.failed(chunk, error, 1.0, 1.0)
    plan.backoff.failed(FAILED, 2.0, 3.0, 1.0)  # the status did not get through at first
    assert plan.looked([]) is None
    assert plan.chunk_size == FIRST


def test_a_reset_of_a_size_that_has_passed_is_tried_again_at_that_size() -> None:
    plan = a_plan(20 * MiB, known())
    chunk = plan.next(0.0)
    assert chunk is not None
    plan.failed(chunk, RESET, 1.0, 1.0)
    assert plan.looked([]) is None
    assert plan.chunk_size == 5 * MiB


def test_no_connection_says_nothing_about_sizes() -> None:
    plan = a_plan(20 * MiB)
    chunk = plan.next(0.0)
    assert chunk is not None
    plan.failed(chunk, NotConnected("no", retryable=True), 1.0, 1.0)
    assert plan.looked([]) is None
    assert plan.chunk_size == FIRST


def test_a_refusal_of_the_smallest_chunk_is_final() -> None:
    with pytest.raises(TooLarge):
        play(a_plan(20 * MiB), Network(limit=FLOOR - 1))


def test_resets_down_to_the_smallest_chunk_end_in_giving_up() -> None:
    with pytest.raises(GaveUp):
        play(a_plan(20 * MiB), Network(limit=FLOOR - 1, resets=True))


def test_a_file_that_the_server_never_takes_is_not_cut_smaller() -> None:
    plan = a_plan(20 * MiB)
    chunk = plan.next(0.0)
    assert chunk is not None
    with pytest.raises(TooLarge):
        plan.failed(chunk, TooLarge("no", facts={"scope": "file"}), 1.0, 1.0)
    assert plan.chunk_size == FIRST


def test_our_servers_own_refusal_of_a_chunk_counts_too() -> None:
    plan = a_plan(20 * MiB)
    chunk = plan.next(0.0)
    assert chunk is not None
    assert plan.failed(chunk, TooLarge("no", facts={"scope": "chunk"}), 1.0, 1.0)
    assert plan.chunk_size == FLOOR


def test_a_servers_larger_minimum_is_the_grid() -> None:
    size = ChunkSize()
    size.offered(5 * MiB, 1000 * KiB)
    network = Network(limit=3 * MiB)
    play(a_plan(20 * MiB, size), network)
    assert all(sent.start % (1000 * KiB) == 0 for sent in network.tried)
    assert all(len(sent) >= 1000 * KiB or sent.end == 20 * MiB for sent in network.tried)


def test_gaps_below_the_minimum_are_widened_over_what_is_there() -> None:
    length = 10 * FLOOR + 17
    known = gaps([Range(100, 200), Range(length - 5, length - 3)], length)
    plan = a_plan(length, missing=[Range(100, 200), Range(length - 5, length - 3)])
    network = Network(limit=MiB, arrived=known)
    play(plan, network)
    assert network.arrived == [Range(0, length)]
    assert network.tried == [Range(0, FLOOR), Range(10 * FLOOR, length)]


def test_a_slow_way_gets_smaller_chunks_before_a_proxys_timer_strikes() -> None:
    size = known()
    seen: list[int] = []

    class Slow(Network):
        def carry(self, sent: Range) -> ClientError | None:
            seen.append(len(sent))
            return super().carry(sent)

    play(a_plan(100 * MiB, size), Slow(64 * MiB), lambda: 12.0 if size.now(0) > MiB else 5.0)
    assert seen[:5] == [5 * MiB] * 4 + [2112 * KiB]
    assert max(seen[4:]) == 2112 * KiB
    assert min(seen[4:-1]) < MiB


def test_a_fast_way_gets_larger_chunks_again_but_no_larger_than_wanted() -> None:
    size = ChunkSize()
    size.note_passed(5 * MiB, 10.0)
    assert size.now(0) == 2560 * KiB
    for _ in range(5):
        size.note_passed(size.now(0), 1.0)
    assert size.now(0) == 5 * MiB


@pytest.mark.parametrize("error", [RESET, FAILED, TimedOut("no", retryable=True)])
def test_requests_that_run_into_a_timer_are_made_smaller_though_they_passed_before(
    error: ClientError,
) -> None:
    size = known()
    plan = a_plan(20 * MiB, size)
    chunk = plan.next(0.0)
    assert chunk is not None
    assert not plan.failed(chunk, error, 60.0, 1.0)
    assert size.now(0) == 2560 * KiB


def test_a_chunk_that_was_taken_back_is_sent_later_and_teaches_nothing() -> None:
    plan = Plan(20 * MiB, [Range(0, 20 * MiB)], ChunkSize(), 4, Backoff(60.0))
    chunk = plan.next(0.0)
    assert chunk is not None
    plan.took_back(chunk)
    again = plan.next(1.0)
    assert again is not None
    assert (again.range, plan.left) == (chunk.range, 20 * MiB)
