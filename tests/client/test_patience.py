"""When the algorithm tries again, how long it waits, and when it gives up."""

from __future__ import annotations

import pytest
from tests.client.network import FAILED, Network, a_plan, known, play

from wherry.client.backoff import Backoff
from wherry.client.chunk_size import FLOOR
from wherry.client.errors import (
    GaveUp,
    NotConnected,
    Refused,
    ServerFailed,
)
from wherry.core.limits import MiB
from wherry.core.ranges import Range


def test_retry_after_is_waited_for() -> None:
    plan = a_plan(20 * MiB)
    chunk = plan.next(0.0)
    assert chunk is not None
    plan.failed(chunk, ServerFailed("no", retryable=True, retry_after=17.0), 1.0, 0.0)
    plan.looked([])
    assert plan.next(17.9) is None
    assert plan.next(18.0) is not None


def test_pauses_double_and_progress_forgets_them() -> None:
    patience, now, pauses = Backoff(1000), 0.0, []
    for _ in range(12):
        patience.failed(FAILED, now, now, jitter=1.0)
        pauses.append(round(patience.until - now, 3))
        now = patience.until
    assert pauses[:5] == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert pauses[-2:] == [30.0, 30.0]
    patience.progressed(now)
    patience.failed(FAILED, now, now, jitter=1.0)
    assert patience.until - now == pytest.approx(0.1)


def test_what_fails_together_counts_once() -> None:
    patience = Backoff(1000)
    for now in (1.0, 1.1, 1.2, 1.3):
        patience.failed(FAILED, began=0.0, now=now, jitter=1.0)
    assert patience.until == pytest.approx(1.4)


def test_the_budget_counts_from_the_first_failure_not_from_the_last_progress() -> None:
    patience = Backoff(10)
    patience.progressed(0.0)
    patience.failed(FAILED, 0.0, 500.0, jitter=0.0)  # one request took its time
    patience.failed(FAILED, 505.0, 509.0, jitter=0.0)
    with pytest.raises(GaveUp) as gave_up:
        patience.failed(FAILED, 510.0, 511.0, jitter=0.0)
    assert gave_up.value.__cause__ is FAILED


def test_no_answer_makes_a_pause_longer_than_the_longest_nor_ends_the_patience() -> None:
    patience = Backoff(300)
    patience.failed(ServerFailed("no", retry_after=86400.0), 0.0, 1.0, jitter=0.0)
    assert patience.until == 31.0


def test_what_was_on_its_way_before_a_failure_does_not_end_the_trouble() -> None:
    patience = Backoff(300)
    patience.failed(FAILED, 0.0, 2.0, jitter=1.0)
    patience.progressed(began=1.0)
    assert patience.in_trouble
    patience.progressed(began=2.5)
    assert not patience.in_trouble


def test_patience_is_not_spent_while_the_computer_is_asleep() -> None:
    patience = Backoff(60)
    patience.failed(FAILED, 0.0, 1.0, jitter=1.0)
    patience.failed(FAILED, 3600.0, 3601.0, jitter=1.0)
    patience.failed(FAILED, 3601.2, 3602.0, jitter=1.0)
    with pytest.raises(GaveUp):
        patience.failed(FAILED, 3603.0, 3663.0, jitter=1.0)


def test_after_a_failure_one_request_alone_tries_the_way() -> None:
    plan = a_plan(100 * MiB, known())
    first, second, third = (plan.next(0.0) for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    for chunk in (first, second, third):
        plan.failed(chunk, FAILED, 1.0, 0.0)
    assert plan.next(1.0) is None, "the status comes first"
    plan.looked([])
    alone = plan.next(1.0)
    assert alone is not None
    assert plan.next(1.0) is None
    plan.passed(alone, 2.0)
    assert [plan.next(2.0) is not None for _ in range(5)] == [True] * 4 + [False]


def test_whether_the_server_is_back_is_found_out_with_the_smallest_chunk() -> None:
    plan = a_plan(4 * MiB, known(MiB))
    chunk = plan.next(0.0)
    assert chunk is not None
    plan.failed(chunk, FAILED, 1.0, jitter=0.0)
    for now in (2.0, 3.0):
        plan.looked([])
        probe = plan.next(now)
        assert probe is not None
        assert len(probe.range) == FLOOR
        plan.failed(probe, NotConnected("no", retryable=True), now, jitter=0.0)
    plan.looked([])
    probe = plan.next(4.0)
    assert probe is not None
    plan.passed(probe, 4.0)
    chunk = plan.next(4.0)
    assert chunk is not None
    assert chunk.range == Range(FLOOR, FLOOR + MiB)


def test_no_room_is_waited_for_however_long_it_takes() -> None:
    network = Network(64 * MiB, troubles=["no room"] * 1000)
    assert play(a_plan(MiB), network) > 4000
    assert network.arrived == [Range(0, MiB)]


def test_an_error_that_trying_again_cannot_mend_is_raised_at_once() -> None:
    plan = a_plan(20 * MiB)
    chunk = plan.next(0.0)
    assert chunk is not None
    error = Refused("no", status=422)
    with pytest.raises(Refused) as refused:
        plan.failed(chunk, error, 1.0, 1.0)
    assert refused.value is error
