"""Admission lets in what fits, and tells what may fit later from what never will."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.admission import (
    RETRY_AFTER,
    Space,
    Usage,
    check_admission,
    check_fits_ever,
    check_fits_now,
    check_slot,
)
from wherry.core.errors import NeverFits, NoRoom, TooLarge, UploadError
from wherry.core.limits import Limits

OPEN = Limits(
    max_size=None,
    max_open=None,
    max_open_per_owner=None,
    max_reserved=None,
    max_reserved_per_owner=None,
    min_free=0,
)
#: Far more than anything here asks for.
VAST = Space(total=1 << 60, free=1 << 60)

numbers = st.integers(0, 20)
bounds = st.none() | numbers
limits = st.builds(
    Limits,
    max_size=bounds,
    max_open=st.none() | st.integers(1, 5),
    max_open_per_owner=st.none() | st.integers(1, 5),
    max_reserved=bounds,
    max_reserved_per_owner=bounds,
    min_free=numbers,
)


def refusal(check: Callable[[], None]) -> UploadError | None:
    try:
        check()
    except UploadError as error:
        return error
    return None


@given(numbers, limits, numbers)
def test_what_may_fit_at_all_is_let_in_where_nothing_else_is(
    length: int, limits: Limits, total: int
) -> None:
    space = Space(total=total, free=total)
    if refusal(lambda: check_fits_ever(length, limits, space)) is None:
        check_fits_now(length, limits, space)
        check_admission(length, Usage(), limits)


@given(numbers, limits, numbers)
def test_what_can_never_fit_is_let_in_nowhere(length: int, limits: Limits, total: int) -> None:
    space = Space(total=total, free=total)
    never = refusal(lambda: check_fits_ever(length, limits, space))
    if isinstance(never, NeverFits):
        assert 0 <= never.limit < length or length == 0
        assert refusal(lambda: check_fits_now(length, limits, space)) or refusal(
            lambda: check_admission(length, Usage(), limits)
        )


@given(numbers, st.builds(Usage, numbers, numbers, numbers, numbers), limits)
def test_whoever_is_let_in_leaves_every_limit_kept(
    length: int, usage: Usage, limits: Limits
) -> None:
    def is_within(used: int, bound: int | None) -> bool:
        return bound is None or used <= bound

    fits = (
        is_within(usage.open + 1, limits.max_open)
        and is_within(usage.open_of_owner + 1, limits.max_open_per_owner)
        and is_within(usage.reserved + length, limits.max_reserved)
        and is_within(usage.reserved_of_owner + length, limits.max_reserved_per_owner)
    )
    error = refusal(lambda: check_admission(length, usage, limits))
    assert (error is None) == fits
    assert error is None or isinstance(error, NoRoom)


@pytest.mark.parametrize(
    ("bound", "usage", "said"),
    [
        ("max_open", Usage(open=7), "as many uploads as may be"),
        ("max_open_per_owner", Usage(open_of_owner=7), "you have as many open"),
        ("max_reserved", Usage(reserved=6), "space for uploads in all"),
        ("max_reserved_per_owner", Usage(reserved_of_owner=6), "one owner"),
    ],
)
def test_who_has_to_wait_is_told_for_what_and_when_to_ask_again(
    bound: str, usage: Usage, said: str
) -> None:
    with pytest.raises(NoRoom, match=said) as caught:
        check_admission(2, usage, replace(OPEN, **{bound: 7}))
    assert caught.value.retry_after == RETRY_AFTER


def test_a_slot_does_not_ask_for_bytes() -> None:
    full = Usage(open=0, reserved=99, open_of_owner=0, reserved_of_owner=99)
    check_slot(full, replace(OPEN, max_reserved=1, max_reserved_per_owner=1))


def test_a_file_above_the_largest_size_is_too_large_before_anything_else() -> None:
    with pytest.raises(TooLarge):
        check_fits_ever(6, replace(OPEN, max_size=5, max_reserved=1), VAST)


@pytest.mark.parametrize(
    ("limits", "space"),
    [
        (replace(OPEN, max_reserved=5), VAST),
        (replace(OPEN, max_reserved_per_owner=5), VAST),
        (replace(OPEN, min_free=3), Space(total=8, free=8)),
    ],
)
def test_a_file_above_all_the_space_there_is_never_fits(limits: Limits, space: Space) -> None:
    check_fits_ever(5, limits, space)
    with pytest.raises(NeverFits) as caught:
        check_fits_ever(6, limits, space)
    assert caught.value == NeverFits(limit=5, provided=6)


def test_the_space_that_is_kept_free_is_promised_to_nobody() -> None:
    limits, space = replace(OPEN, min_free=3), Space(total=100, free=8)
    check_fits_now(5, limits, space)
    with pytest.raises(NoRoom, match="free disk space"):
        check_fits_now(6, limits, space)


def test_a_volume_below_what_is_kept_free_can_hold_nothing() -> None:
    with pytest.raises(NeverFits) as caught:
        check_fits_ever(1, replace(OPEN, min_free=9), Space(total=5, free=5))
    assert caught.value.limit == 0
