"""What an upload answers that needs no walk: chunks by number, owners, suffixes."""

from dataclasses import replace

import pytest

from wherry.core import facts as rules
from wherry.core.digests import Digest
from wherry.core.errors import (
    BytesMissing,
    DigestDiffers,
    HookFailed,
    RangeOutside,
    Superseded,
    TooFragmented,
    TooLarge,
    UploadClosed,
    UploadNotFound,
)
from wherry.core.facts import MAX_GAPS_LISTED, MAX_PARTS
from wherry.core.ranges import Part, PartSet, Range
from wherry.core.requests import Caller
from wherry.core.upload import MAX_LOST_CALLS, State, Upload


def upload(limit: int = 10, filename: str = "film.mp4") -> Upload:
    return Upload("u", owner="ann", filename=filename, limit=limit, length=limit, chunk_size=4)


def test_without_a_length_bytes_above_the_limit_are_too_large() -> None:
    unknown = Upload("u", owner="ann", filename="f", limit=10)
    unknown.check_inside(Range(0, 10))
    with pytest.raises(TooLarge) as caught:
        unknown.check_inside(Range(5, 11))
    assert caught.value == TooLarge(limit=10, provided=11)


def test_with_a_length_what_lies_behind_it_is_outside() -> None:
    upload().check_inside(Range(0, 10))
    with pytest.raises(RangeOutside) as caught:
        upload().check_inside(Range(5, 11))
    assert caught.value == RangeOutside(start=5, end=11, length=10)


def test_an_upload_of_another_owner_is_not_found() -> None:
    upload().check_owner(Caller("ann"))
    for stranger in (Caller("bob"), Caller(""), Caller("bob", operator=True)):
        with pytest.raises(UploadNotFound):
            upload().check_owner(stranger)


def test_a_part_outside_of_its_own_lease_is_a_fault_of_ours() -> None:
    leased = upload().lease(Range(2, 4), "a", now=1.0)
    for start, end in ((1, 3), (3, 5), (3, 3), (8, 9)):
        with pytest.raises(ValueError, match="lies outside of"):
            leased.record("a", (Part(start, end, 0),))


def test_an_empty_file_is_whole_from_the_start() -> None:
    assert upload(limit=0).begin_completion("a", 0.0, 1.0).offset == 0


def test_of_very_many_gaps_only_the_first_are_listed() -> None:
    sparse = upload(limit=1000).lease(Range(0, 1000), "a", now=0.0)
    sparse = sparse.record("a", tuple(Part(i, i + 1, 0) for i in range(1, 1000, 2)))
    with pytest.raises(BytesMissing) as caught:
        sparse.check_whole()
    assert caught.value.missing == tuple((i, i + 1) for i in range(0, 2 * MAX_GAPS_LISTED, 2))


@pytest.mark.parametrize(
    ("filename", "suffix"),
    [
        ("film.mp4", ".mp4"),
        ("FILM.MP4", ".mp4"),
        ("a.tar.gz", ".gz"),
        (".mp4", ".mp4"),
        ("film", ""),
        ("film.", ""),
        ("film.m p4", ""),
        ("film.mp4 ", ""),
        ("film.mp４", ""),
        ("film.abcdefghijk", ""),
    ],
)
def test_the_suffix_is_a_short_plain_ending_or_nothing(filename: str, suffix: str) -> None:
    assert upload(filename=filename).suffix == suffix


def test_an_upload_with_very_many_gaps_takes_only_what_touches_a_part() -> None:
    parts = tuple(Part(at, at + 1, 0) for at in range(0, 4 * MAX_PARTS, 4))
    full_of_gaps = Upload(
        "u", owner="ann", filename="f", limit=1 << 20, length=1 << 20, received=PartSet(parts)
    )
    with pytest.raises(TooFragmented):
        full_of_gaps.lease(Range(2, 3), "t", 1.0)
    for touching in (Range(1, 2), Range(3, 4), Range(1, 4), Range(2, 9)):
        assert full_of_gaps.lease(touching, "t", 1.0).holds("t")


def test_a_request_has_the_next_bytes_only_while_it_has_those_before() -> None:
    first = upload().lease(Range(0, 4), "a1", 1.0, whole=Range(0, 10))
    both = first.lease(Range(4, 8), "a2", 1.0, is_newest=False, after="a1")
    assert both.holds("a1")
    assert both.holds("a2")
    assert both.record("a1", (Part(0, 4, 0),)).record("a2", (Part(4, 8, 0),)).offset == 8
    # A newer request takes the leases of all bytes that it will bring.
    newer = both.lease(Range(2, 4), "b1", 1.0, whole=Range(2, 10))
    assert [lease.token for lease in newer.leases] == ["b1"]
    with pytest.raises(Superseded):
        newer.lease(Range(4, 8), "a2", 1.0, is_newest=False, after="a1")
    with pytest.raises(Superseded):
        first.record("a1", ()).lease(Range(4, 8), "a2", 1.0, is_newest=False, after="a1")


def test_the_next_bytes_of_a_request_are_no_further_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_PARTS", 1)
    one = replace(upload(), received=PartSet((Part(0, 2, 0),)))
    with pytest.raises(TooFragmented):
        one.lease(Range(4, 6), "b", 1.0)
    leased = one.lease(Range(2, 4), "a1", 1.0)
    leased = leased.lease(Range(4, 6), "a2", 1.0, is_newest=False, after="a1")
    assert leased.record("a1", (Part(2, 4, 0),)).record("a2", (Part(4, 6, 0),)).offset == 6


def test_bytes_on_their_way_are_activity_of_their_upload() -> None:
    leased = upload().lease(Range(0, 5), "a", now=1.0).lease(Range(5, 9), "b", now=2.0)
    touched = leased.touch("a", 50.0)
    assert (touched.active_at, touched.expires_at(10.0)) == (50.0, 60.0)
    assert touched.expire(59.0, 10.0) is touched
    assert [lease.at for lease in touched.leases] == [50.0, 2.0]
    assert touched.touch("a", 40.0) is touched
    assert leased.touch("unknown", 50.0) is leased


def test_no_request_leaves_more_parts_than_an_upload_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "MAX_PARTS", 2)
    file = upload(10)
    for start in (0, 2, 4):  # all of them begin while there is room for another
        file = file.lease(Range(start, start + 1), f"r{start}", 1.0)
    for start in (0, 2):
        file = file.record(f"r{start}", (Part(start, start + 1, 1, 1.0),))
    with pytest.raises(TooFragmented):
        file.record("r4", (Part(4, 5, 1, 1.0),))
    with pytest.raises(TooFragmented):
        file.lease(Range(6, 7), "late", 1.0)
    # What joins two parts is as welcome as ever.
    joined = file.lease(Range(1, 2), "j", 1.0).record("j", (Part(1, 2, 1, 1.0),))
    assert len(joined.received.parts) == 1
    # It is bounded also where a request that would have closed a gap is cut off within it.
    cut = file.lease(Range(3, 9), "c", 1.0)
    with pytest.raises(TooFragmented):
        cut.record("c", (Part(5, 6, 1, 1.0),))


@pytest.mark.parametrize("state", [State.COMPLETING, State.COMPLETE])
def test_another_digest_than_the_files_is_refused_once_the_file_is_all_there(state: State) -> None:
    file = replace(upload(10), state=state, received=PartSet((Part(0, 10, 7),)))
    for ask in (file.check_digest, file.announce_digest):
        ask(None)
        ask(Digest.of_crc(7))
        with pytest.raises(DigestDiffers) as caught:
            ask(Digest.of_crc(8))
        assert caught.value.stored == str(Digest.of_crc(7))


def test_a_call_of_a_process_that_died_is_not_overdue_for_the_one_that_takes_over() -> None:
    """It may wait for a hook slot for as long as it likes: nothing has been called yet."""
    died = (
        upload(0)
        .begin_completion("died", now=0.0, until=10.0)
        .begin_call("died", 1.0, is_named=False)
    )
    died.check_hook(now=4.0, timeout=5.0)
    with pytest.raises(HookFailed, match="has not returned in time"):
        died.check_hook(now=6.0, timeout=5.0)
    waiting = died.begin_completion("next", now=100.0, until=110.0)
    waiting.check_hook(now=109.0, timeout=5.0)
    called = waiting.begin_call("next", 109.0, is_named=False)
    assert called.calls.lost == 2
    called.check_hook(now=109.5, timeout=5.0)
    with pytest.raises(HookFailed, match="has not returned in time"):
        called.renew("next", 120.0).check_hook(now=114.0, timeout=5.0)


def test_a_failure_after_a_hook_has_returned_is_not_a_call_that_ended_its_process() -> None:
    whole = upload(0)
    for number in range(MAX_LOST_CALLS + 1):
        token, now = f"try {number}", 20.0 * number
        mine = whole.begin_completion(token, now=now, until=now + 10.0)
        whole = mine.begin_call(token, now + 1.0, is_named=False).interrupt(token)
        assert whole.calls.lost == 0


def test_a_failure_before_the_hook_is_called_keeps_the_calls_that_were_lost() -> None:
    died = (
        upload(0)
        .begin_completion("died", now=0.0, until=10.0)
        .begin_call("died", 1.0, is_named=False)
    )
    next_one = died.begin_completion("next", now=100.0, until=110.0).interrupt("next")
    assert next_one.calls.lost == 1


@pytest.mark.parametrize("length", [0, 1, 10])
def test_a_file_that_one_request_brings_is_recorded_as_if_it_had_come_in_steps(
    length: int,
) -> None:
    new = replace(
        upload(), length=None, state=State.WAITING, queued_at=1.0, began_at=1.0, created_at=1.0
    )
    steps = new.admit(2.0, 60.0).declare_length(length)
    if length:
        steps = steps.lease(Range(0, length), "t", 2.0).record("t", (Part(0, length, 7, 2.0),))
    steps = steps.begin_completion("c", 2.0, 30.0).complete("c", "a")
    assert new.arrive(length, 7, 2.0, "a") == steps


def test_a_file_does_not_arrive_above_its_limit_or_twice() -> None:
    new = replace(upload(), length=None, state=State.WAITING, queued_at=1.0)
    with pytest.raises(TooLarge) as caught:
        new.arrive(11, 7, 2.0, None)
    assert caught.value == TooLarge(limit=10, provided=11)
    with pytest.raises(UploadClosed):
        new.arrive(10, 7, 2.0, None).arrive(10, 7, 2.0, None)
