"""A right that was given while another request waited is one; one far ahead is over."""

from __future__ import annotations

import pytest

from wherry.core.errors import Busy
from wherry.core.limits import Limits
from wherry.core.ranges import Part, PartSet
from wherry.core.rights import CLOCK_TOLERANCE, latest_end
from wherry.core.upload import State, Upload

LIMITS = Limits()
LEASE = 10.0


def whole() -> Upload:
    received = PartSet((Part(0, 10, 0, 1.0),))
    return Upload("u", owner="ann", filename="f", limit=10, length=10, received=received)


@pytest.mark.parametrize("waited", [0.0, 0.001, CLOCK_TOLERANCE])
def test_a_request_that_read_the_clock_earlier_respects_a_completion(waited: float) -> None:
    begun = 1000.0 + waited
    upload = whole().begin_completion("theirs", begun, begun + LEASE)
    with pytest.raises(Busy):
        upload.cancel(1000.0, latest_end(1000.0, LEASE))
    with pytest.raises(Busy):
        upload.begin_completion("mine", 1000.0, 1000.0 + LEASE)


@pytest.mark.parametrize("waited", [0.0, 0.001, CLOCK_TOLERANCE])
def test_a_slot_that_was_renewed_meanwhile_counts(waited: float) -> None:
    upload = whole().keep_slot(1000.0 + waited, LIMITS)
    assert upload.is_open(1000.0, LIMITS.latest_slot_end(1000.0))


def test_what_ends_later_than_that_is_over() -> None:
    begun = 1000.0 + CLOCK_TOLERANCE + 1
    upload = whole().begin_completion("theirs", begun, begun + LEASE)
    assert upload.cancel(1000.0, latest_end(1000.0, LEASE)).state is State.CANCELLED
    assert upload.begin_completion("mine", 1000.0, 1000.0 + LEASE).completion is not None
    assert not whole().keep_slot(begun, LIMITS).is_open(1000.0, LIMITS.latest_slot_end(1000.0))
