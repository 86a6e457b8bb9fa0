"""Every state an upload can reach keeps the promises of an upload."""

from dataclasses import replace
from itertools import combinations

import pytest
from tests.core.reachable import (
    DATA,
    ENDED,
    EXPIRES_AFTER,
    LIMIT,
    MUCH_LATER,
    RIGHT,
    TOKENS,
    TRAFFIC_AT,
    WRONG,
    indices,
    is_being_completed,
    refusals,
    states,
    steps,
)

from wherry.core import facts as rules
from wherry.core.digests import Digest, crc64
from wherry.core.errors import (
    BytesMissing,
    DigestDiffers,
    HookEndsServer,
    LengthMismatch,
    Queued,
    RangeOutside,
    Superseded,
    TooFragmented,
    TooLarge,
    UploadClosed,
    UploadGone,
)
from wherry.core.rights import latest_end
from wherry.core.upload import (
    ACCEPTS,
    GONE,
    LOST_CALL_PAUSE,
    MAX_LOST_CALLS,
    TRANSITIONS,
    Calls,
    Completion,
    Lease,
    State,
)

# The life of an upload.


def test_only_the_transitions_of_the_table_happen_and_each_of_them_does() -> None:
    # `complete_at_once` is two of them; see the test of it.
    single = [step for step in steps() if step.name != "complete_at_once"]
    taken = {(step.before.state, step.after.state) for step in single}
    table = {(origin, to) for origin, targets in TRANSITIONS.items() for to in targets}
    assert {(origin, to) for origin, to in taken if origin is not to} == table


def test_what_an_upload_is_never_changes() -> None:
    fixed = ("id", "owner", "filename", "limit", "chunk_size", "created_at", "began_at", "metadata")
    for step in steps():
        assert all(getattr(step.before, name) == getattr(step.after, name) for name in fixed)


def test_an_ended_upload_has_no_lease_and_no_completion() -> None:
    for upload in states():
        assert upload.state not in ENDED or (upload.leases, upload.completion) == ((), None)


def test_an_ended_upload_holds_no_slot() -> None:
    assert all(upload.slot_until == 0 for upload in states() if upload.state in ENDED)


def test_an_ended_upload_never_changes_but_for_its_file_being_discarded() -> None:
    for step in steps():
        if step.before.state in ENDED:
            assert step.after == replace(step.before, discarded_at=step.after.discarded_at)


def test_only_a_complete_upload_is_discarded_and_once() -> None:
    for step in steps("discard"):
        assert step.before.state is State.COMPLETE
        first = step.before.discarded_at
        assert step.after.discarded_at == (step.args[0] if first is None else first)


def test_a_request_for_a_failed_upload_gets_the_reason() -> None:
    for upload in states():
        assert upload.failure is None or upload.state in GONE
        assert upload.failure is not None or upload.state is not State.FAILED
    for refusal in refusals("lease"):
        if refusal.before.state in GONE:
            state, why = refusal.before.state.value, refusal.before.failure
            assert refusal.error == UploadGone(state, why)


def test_cancelling_twice_is_cancelling_once() -> None:
    for step in steps("cancel"):
        assert step.after.state in GONE
        assert step.after.cancel(MUCH_LATER) is step.after


def test_everything_unfinished_can_be_cancelled_but_for_a_running_completion() -> None:
    for step in steps("cancel"):
        assert not is_being_completed(step.before, step.args[0])
    for refusal in refusals("cancel"):
        before, (now,) = refusal.before, refusal.args
        assert before.state is State.COMPLETE or is_being_completed(before, now)


def test_an_upload_expires_when_its_last_byte_is_too_old_and_not_before() -> None:
    for step in steps("expire"):
        before, now = step.before, step.args[0]
        times = [lease.at for lease in before.leases] + [p.at for p in before.received.parts]
        turn = 0 if before.received.parts else before.slot_until
        is_due = now >= max([before.began_at, turn, *times]) + EXPIRES_AFTER
        if before.state in ACCEPTS:
            assert (step.after.state is State.EXPIRED) == is_due
        else:
            assert step.after is before or (is_due and before.completion is None)


def test_an_upload_that_is_not_completed_expires() -> None:
    for upload in states():
        if upload.state not in ENDED and upload.completion is None:
            assert upload.expire(MUCH_LATER, EXPIRES_AFTER).state is State.EXPIRED


def test_an_upload_whose_folder_was_removed_is_expired_with_that_reason() -> None:
    for upload in states():
        if upload.state in ACCEPTS:
            ended = upload.vanish(MUCH_LATER)
            assert (ended.state, bool(ended.failure)) == (State.EXPIRED, True)


def test_whatever_ends_without_a_file_has_the_time_of_its_end_and_nothing_else_has() -> None:
    for upload in states():
        assert (upload.ended_at is not None) == (upload.state in GONE)
    for step in steps():
        if step.before.ended_at is not None:
            assert step.after.ended_at == step.before.ended_at


# Its bytes.


def test_the_offset_never_decreases() -> None:
    assert all(step.before.offset <= step.after.offset for step in steps())


def test_what_is_recorded_is_received_and_nothing_else_ever_is() -> None:
    for step in steps():
        came = set[int]()
        if step.name == "record":
            came = {i for new in step.args[1] for i in range(new.start, new.end)}
        assert indices(step.after) == indices(step.before) | came


def test_the_digest_of_what_was_received_is_that_of_its_bytes() -> None:
    for upload in states():
        for got in upload.received.parts:
            assert got.crc == crc64(DATA[got.start : got.end])
        assert upload.received_digest == Digest.of_crc(crc64(DATA[: upload.offset]))


def test_gaps_are_the_bytes_that_have_not_come() -> None:
    for upload in states():
        end = LIMIT if upload.length is None else upload.length
        gaps = [i for gap in upload.missing for i in range(gap.start, gap.end)]
        assert gaps == sorted(set(range(end)) - indices(upload))


def test_no_upload_outgrows_its_limit() -> None:
    assert all(upload.received.end <= LIMIT for upload in states())


def test_no_upload_outgrows_its_length() -> None:
    for upload in states():
        assert upload.length is None or upload.received.end <= upload.length


def test_length_never_changes_once_declared() -> None:
    assert all(step.before.length in (None, step.after.length) for step in steps())


def test_no_length_is_declared_below_what_is_received() -> None:
    assert all(step.before.received.end <= step.args[0] for step in steps("declare_length"))


def test_a_contradicting_length_is_refused_with_the_lengths_in_question() -> None:
    for refusal in refusals("declare_length"):
        before, (asked,) = refusal.before, refusal.args
        known = before.received.end if before.length is None else before.length
        outgrows = before.length is None and asked > LIMIT
        expected = TooLarge(LIMIT, asked) if outgrows else LengthMismatch(known, asked)
        assert refusal.error == expected or before.state is not State.RECEIVING


def test_bytes_on_their_way_put_off_the_end_of_their_upload_and_change_nothing_else() -> None:
    for upload in states():
        for token in TOKENS:
            touched = upload.touch(token, TRAFFIC_AT + 1)
            assert replace(touched, leases=upload.leases) == upload
            assert touched.expires_at(EXPIRES_AFTER) >= upload.expires_at(EXPIRES_AFTER)
            if upload.holds(token):
                assert touched.active_at >= TRAFFIC_AT + 1


def test_no_upload_ends_up_with_more_parts_than_it_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "MAX_PARTS", 1)
    for step in steps("record"):
        had, has = len(step.before.received.parts), len(step.after.received.parts)
        try:
            again = step.before.record(*step.args)
        except TooFragmented:
            assert has > max(had, 1)
        else:
            assert (again, has <= max(had, 1)) == (step.after, True)


# Its open requests.


def test_two_open_requests_never_hold_the_same_byte() -> None:
    for upload in states():
        for one, other in combinations(upload.leases, 2):
            assert not one.range.overlaps(other.range)


def test_the_newest_request_has_its_range_and_those_it_overlaps_have_none() -> None:
    for step in steps("lease"):
        want, token, now = step.args
        kept = {lease for lease in step.before.leases if not lease.range.overlaps(want)}
        assert set(step.after.leases) == kept | {Lease(token, want, now)}


def test_every_range_inside_the_file_is_granted_while_it_receives() -> None:
    for refusal in refusals("lease"):
        want, before = refusal.args[0], refusal.before
        end = LIMIT if before.length is None else before.length
        assert before.state is not State.RECEIVING or want.end > end


def test_a_request_that_lost_its_range_records_nothing() -> None:
    assert all(step.before.holds(step.args[0]) for step in steps("record"))
    for refusal in refusals("record"):
        if refusal.before.state is State.RECEIVING:
            holds = refusal.before.holds(refusal.args[0])
            assert isinstance(refusal.error, RangeOutside if holds else Superseded)


def test_only_its_own_request_ends_a_lease_or_a_newer_one_for_the_same_bytes() -> None:
    for step in steps():
        lost = set(step.before.leases) - set(step.after.leases)
        if step.name in ("record", "release"):
            assert lost == {lease for lease in step.before.leases if lease.token == step.args[0]}
        elif step.name not in ("lease", "declare_length"):
            assert not lost or step.after.state is not State.RECEIVING


def test_bytes_are_refused_by_whatever_does_not_receive() -> None:
    for step in [*steps("lease"), *steps("record"), *steps("declare_length")]:
        assert step.before.state is State.RECEIVING
    for refusal in refusals("lease", "record", "declare_length"):
        state = refusal.before.state
        if state is not State.RECEIVING:
            expected = Queued if state is State.WAITING else UploadClosed
            assert isinstance(refusal.error, UploadGone if state in GONE else expected)


def test_a_slot_is_only_ever_kept_longer() -> None:
    assert all(s.before.slot_until <= s.after.slot_until for s in steps("keep_slot"))
    assert any(s.before.slot_until < s.after.slot_until for s in steps("keep_slot"))


# Its completion.


def test_completion_begins_only_when_every_byte_is_there() -> None:
    for upload in states():
        if upload.state in (State.COMPLETING, State.COMPLETE):
            assert upload.length is not None
            assert indices(upload) >= set(range(upload.length))


def test_completing_means_that_its_bytes_have_the_digest_that_was_announced() -> None:
    for upload in states():
        if upload.state in (State.COMPLETING, State.COMPLETE):
            assert upload.digest in (None, upload.received_digest)


def test_a_file_that_is_all_there_answers_to_its_own_digest_and_to_no_other() -> None:
    for upload in states():
        is_whole = upload.state in (State.COMPLETING, State.COMPLETE)
        for digest in (None, RIGHT, WRONG):
            if is_whole and digest not in (None, upload.received_digest):
                with pytest.raises(DigestDiffers):
                    upload.announce_digest(digest)
            elif is_whole:
                assert upload.announce_digest(digest) is upload


def test_a_whole_upload_can_be_completed() -> None:
    for refusal in refusals("begin_completion"):
        before = refusal.before
        if before.state is State.RECEIVING and before.length is not None and not before.missing:
            assert before.digest not in (None, before.received_digest)


def test_asking_too_early_is_answered_with_gaps_that_are_there() -> None:
    for refusal in refusals("begin_completion"):
        if isinstance(refusal.error, BytesMissing):
            gaps = tuple((gap.start, gap.end) for gap in refusal.before.missing)
            assert refusal.error.missing == gaps != ()


def test_only_one_completes_at_a_time_until_its_time_is_up() -> None:
    for step in steps("begin_completion"):
        token, now, until = step.args
        assert not is_being_completed(step.before, now, latest_end(now, until - now))
        assert step.after.completion == Completion(token, until)
    for refusal in refusals("begin_completion"):
        if refusal.before.state is State.COMPLETING:
            _, now, until = refusal.args
            assert is_being_completed(refusal.before, now, latest_end(now, until - now))


def test_only_the_completing_token_ends_the_completion() -> None:
    for step in steps():
        completed = step.before.state is State.COMPLETING and step.name in ("vanish", "fail")
        if completed or step.name in ("renew", "interrupt", "complete"):
            assert step.before.completion is not None
            assert step.before.completion.token == step.args[-1 if completed else 0]
    for refusal in refusals("renew", "interrupt", "complete"):
        assert isinstance(refusal.error, UploadGone if refusal.before.state in GONE else Superseded)


def test_completing_at_once_is_beginning_and_completing_in_one_change() -> None:
    assert steps("complete_at_once")
    for step in steps("complete_at_once"):
        now, assessment_id = step.args
        begun = step.before.begin_completion("a", now, now + 1)
        assert step.before.state is State.RECEIVING
        assert step.after == begun.complete("a", assessment_id)
    for refusal in refusals("complete_at_once"):
        before, now = refusal.before, refusal.args[0]
        if before.state is State.COMPLETING:  # another completion has begun: it may call hooks
            assert refusal.error == UploadClosed("completing")
        elif before.state is State.COMPLETE:
            assert refusal.error == UploadClosed("complete")
        else:
            with pytest.raises(type(refusal.error)):
                before.begin_completion("a", now, now + 1)


def test_only_the_completing_token_calls_a_hook() -> None:
    for step in steps("begin_call"):
        assert step.before.completion is not None
        assert step.before.completion.token == step.args[0]
        assert step.after.calls == Calls(step.after.calls.lost, step.args[1])


def test_lost_calls_are_counted_until_the_next_one_has_to_wait() -> None:
    for step in steps("begin_call"):
        begins = step.args[2] and not step.before.is_named
        assert step.after.calls.lost == (1 if begins else step.before.calls.lost + 1)
    for refusal in refusals("begin_call"):
        if isinstance(refusal.error, HookEndsServer):
            assert refusal.before.calls.lost == MAX_LOST_CALLS
            later = refusal.before.calls.at + LOST_CALL_PAUSE
            assert refusal.before.begin_call(refusal.args[0], later, is_named=False).calls.lost
    assert max(upload.calls.lost for upload in states()) == MAX_LOST_CALLS


def test_only_a_call_with_its_name_gives_a_file_its_name_and_for_good() -> None:
    for step in steps():
        named = step.name == "begin_call" and step.args[2]
        assert step.after.is_named == (step.before.is_named or named)


def test_the_assessment_is_fixed_by_completion_and_by_nothing_else() -> None:
    for step in steps():
        before, after = step.before.assessment_id, step.after.assessment_id
        completes = step.name in ("complete", "complete_at_once")
        assert before == after or (before is None and completes)
    assert all(s.after.assessment_id == f"assessment-{s.args[0]}" for s in steps("complete"))
