"""Reservations that go on at the same time do not fill the volume together."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from wherry.engine.reserving import Reserving


def test_what_others_are_reserving_is_not_free() -> None:
    reserving = Reserving()
    with (
        reserving.within(60, lambda: 100) as first,
        reserving.within(60, lambda: 100) as second,
        reserving.within(40, lambda: 100) as third,
    ):
        assert (first, second, third) == (True, False, True)
    with reserving.within(100, lambda: 100) as alone:
        assert alone


def test_where_there_is_no_volume_everything_fits() -> None:
    reserving = Reserving()
    with ExitStack() as stack:
        for _ in range(3):
            assert stack.enter_context(reserving.within(1 << 60, lambda: None))


def test_a_reservation_that_fails_takes_nothing() -> None:
    reserving = Reserving()
    with pytest.raises(OSError, match="full"), reserving.within(100, lambda: 100):
        raise OSError("full")
    with reserving.within(100, lambda: 100) as fits:
        assert fits
