"""Which sizes are tried, and what that costs."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wherry.doctor.searching import LARGEST_SENT, TOP, Found, Outcome, search

KiB, MiB = 1 << 10, 1 << 20
BUDGET = 31 * MiB


class Path:
    """A path that refuses bodies above `limit`: for what is announced, or only for what comes."""

    def __init__(self, limit: int | None, is_early: bool = True, budget: int = BUDGET) -> None:
        self.limit, self.is_early = limit, is_early
        self.left = budget
        self.announced = 0

    def announce(self, size: int) -> Outcome:
        self.announced += 1
        is_refused = self.is_early and self.limit is not None and size > self.limit
        return Outcome.REFUSED if is_refused else Outcome.OPEN

    def send(self, size: int) -> Outcome:
        assert size <= self.left, "more was sent than may be"
        if self.limit is not None and size > self.limit:
            self.left -= 64 * KiB if self.is_early else size
            return Outcome.REFUSED
        self.left -= size
        return Outcome.PASSED

    def search(self) -> Found:
        return search(self.announce, self.send, lambda: self.left)


@pytest.mark.parametrize(
    "limit", [1 * MiB, 128 * KiB, 4_500_000, 10_000_000, 30_000_000, 100 * MiB]
)
def test_a_limit_that_is_announced_is_found_to_the_byte(limit: int) -> None:
    path = Path(limit)
    found = path.search()
    assert (found.passes, found.refuses) == (limit, limit + 1)
    assert found.is_exact
    assert found.sent == min(limit, LARGEST_SENT)
    assert path.announced <= 12


def test_without_a_limit_nothing_is_refused_and_a_large_body_passes() -> None:
    path = Path(None)
    found = path.search()
    assert (found.open, found.refuses, found.sent) == (TOP, None, LARGEST_SENT)
    assert path.announced == 1


@pytest.mark.parametrize("limit", [1 * MiB, 128 * KiB, 2 * MiB, 5 * MiB])
def test_a_limit_that_shows_only_after_the_bytes_is_found_within_the_budget(limit: int) -> None:
    path = Path(limit, is_early=False)
    found = path.search()
    assert found.passes == limit
    assert found.refuses is not None
    assert found.refuses <= limit * 1.3
    assert path.left >= 0


@given(limit=st.integers(1, 6 * 10**9), is_early=st.booleans(), budget=st.integers(0, BUDGET))
@settings(max_examples=300)
@example(limit=1, is_early=True, budget=0)
@example(limit=MiB + 1, is_early=True, budget=BUDGET)
def test_what_is_found_is_never_wrong(limit: int, is_early: bool, budget: int) -> None:
    found = Path(limit, is_early, budget).search()
    assert found.sent <= limit
    assert found.refuses is None or found.refuses > limit
    if is_early and limit < TOP:
        assert found.refuses is not None
        assert found.passes <= limit
        assert found.refuses - found.passes <= max(limit // 20, 1024)


def test_when_nothing_can_be_told_nothing_is_claimed() -> None:
    found = search(lambda _: Outcome.UNKNOWN, lambda _: Outcome.UNKNOWN, lambda: BUDGET)
    assert (found.sent, found.open, found.refuses) == (0, 0, None)


def test_what_was_only_announced_is_not_claimed_when_the_time_ran_out_before_the_bytes() -> None:
    found = search(lambda size: Outcome.OPEN, lambda size: Outcome.UNKNOWN, lambda: BUDGET)
    assert (found.passes, found.refuses) == (0, None)
