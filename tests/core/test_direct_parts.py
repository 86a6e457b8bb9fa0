"""Which parts a client may send to the storage itself, and how they are recorded."""

from __future__ import annotations

import pytest

from wherry.core.errors import BadRequest, Queued, TooFragmented, UploadClosed, UploadGone
from wherry.core.facts import MAX_PARTS
from wherry.core.limits import Limits
from wherry.core.ranges import Part, PartSet, Range
from wherry.core.rights import Lease
from wherry.core.upload import State, Upload

LIMITS = Limits()


def upload(*parts: Part, length: int = 25, **more: object) -> Upload:
    return Upload(
        "u",
        owner="ann",
        filename="film.mp4",
        limit=length,
        length=length,
        received=PartSet.of(parts),
        slot_until=100.0,
        **more,  # type: ignore[arg-type]
    )


def test_parts_are_counted_from_one_and_the_last_may_be_shorter() -> None:
    assert upload().direct_parts([3, 2, 3], 10) == {2: Range(10, 20), 3: Range(20, 25)}
    assert upload(length=20).direct_parts([2], 10) == {2: Range(10, 20)}


@pytest.mark.parametrize("number", [1, 4, 10**18, 0, -1])
def test_the_first_part_and_those_behind_the_end_are_refused(number: int) -> None:
    for ask in (upload().direct_parts, upload().reported_parts):
        with pytest.raises(BadRequest) as caught:
            ask([2, number], 10)
        assert caught.value.field == "parts"


def test_a_part_that_is_recorded_is_left_out_and_half_of_one_is_refused() -> None:
    assert upload(Part(0, 20, 1)).direct_parts([2, 3], 10) == {3: Range(20, 25)}
    half = upload(Part(12, 15, 1))
    with pytest.raises(BadRequest, match="some bytes"):
        half.direct_parts([2], 10)
    assert half.reported_parts([2], 10) == {2: Range(10, 20)}


def test_parts_are_recorded_and_half_of_one_stays_as_it_is() -> None:
    before = upload(Part(12, 15, 7))
    after = before.record_direct((Part(10, 20, 1), Part(20, 25, 2)), 5.0, LIMITS)
    assert after.received.parts == (Part(12, 15, 7), Part(20, 25, 2))
    assert after.record_direct((Part(20, 25, 9),), 5.0, LIMITS).received == after.received


def test_a_report_takes_the_lease_of_an_older_request_for_the_same_bytes_only() -> None:
    leases = (Lease("same", Range(15, 25), 1.0), Lease("other", Range(0, 20), 1.0))
    after = upload(leases=leases).record_direct((Part(20, 25, 2),), 5.0, LIMITS)
    assert [lease.token for lease in after.leases] == ["other"]
    # Nothing new: nobody loses anything.
    again = upload(Part(20, 25, 2), leases=leases)
    assert again.record_direct((Part(20, 25, 2),), 5.0, LIMITS).leases == leases


def test_a_report_keeps_a_slot_and_gives_none() -> None:
    part = (Part(20, 25, 2),)
    assert upload().record_direct(part, 99.0, LIMITS).slot_until == 99.0 + LIMITS.slot_idle
    assert upload().record_direct(part, 101.0, LIMITS).slot_until == 100.0


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (State.WAITING, Queued),
        (State.COMPLETING, UploadClosed),
        (State.COMPLETE, UploadClosed),
        (State.CANCELLED, UploadGone),
        (State.EXPIRED, UploadGone),
        (State.FAILED, UploadGone),
    ],
)
def test_nothing_is_recorded_in_another_state(state: State, error: type[Exception]) -> None:
    with pytest.raises(error):
        upload(state=state).record_direct((Part(20, 25, 2),), 5.0, LIMITS)


def test_a_report_leaves_no_more_gaps_than_a_chunk_may() -> None:
    full = upload(*(Part(2 * n, 2 * n + 1, 1) for n in range(MAX_PARTS)), length=10 * MAX_PARTS)
    with pytest.raises(TooFragmented):
        full.record_direct((Part(5 * MAX_PARTS, 5 * MAX_PARTS + 1, 2),), 5.0, LIMITS)
