"""Every reachable state of an upload keeps the rules of the queue."""

from dataclasses import replace

from tests.core.reachable import states, steps

from wherry.core.limits import Limits
from wherry.core.upload import GONE, HOLDS_SPACE, State


def test_only_unfinished_uploads_are_queued_and_waiting_ones_have_nothing() -> None:
    for upload in states():
        if upload.state is State.WAITING:
            assert upload.queued_at is not None
            assert (upload.received.parts, upload.leases, upload.slot_until) == ((), (), 0)
        assert upload.queued_at is None or upload.state in (State.WAITING, State.RECEIVING)


def test_a_position_is_kept_until_the_upload_is_admitted_or_ends() -> None:
    for step in steps():
        queued = step.before.queued_at
        if queued is not None and step.after.queued_at != queued:
            leaves = step.name in ("admit", "begin_completion", "complete_at_once")
            left = leaves or step.after.state in GONE
            assert (step.after.queued_at, left) == (None, True)


def test_admitting_gives_a_slot_to_a_queued_upload_and_changes_no_other() -> None:
    for step in steps("admit"):
        waits, after = step.before.queued_at is not None, step.after
        assert (after is step.before) == (not waits)
        assert not waits or (after.state, after.slot_until) == (State.RECEIVING, step.args[1])


def test_only_an_upload_that_sent_nothing_in_time_is_forfeited() -> None:
    for step in steps("forfeit"):
        before, (now,) = step.before, step.args
        busy = bool(before.received.parts or before.leases)
        busy = busy or before.queued_at is not None
        goes = before.state is State.RECEIVING and not busy and before.slot_until <= now
        assert (step.after.state is State.EXPIRED) == goes or before.state in GONE
        assert goes or step.after is before


def test_a_slot_ends_with_its_time_and_at_once_where_no_setting_allows_it() -> None:
    for upload in states():
        for now in (0.0, 0.5, 1.0, 5.0):
            assert upload.is_open(now) == (upload.state in HOLDS_SPACE and upload.slot_until > now)
            assert not upload.is_open(now, upload.slot_until - 0.1)


def test_traffic_gives_a_slot_of_the_length_that_the_settings_say() -> None:
    limits = Limits(slot_idle=10.0, turn=5.0)
    for upload in states():
        for until, kept in ((106.0, 106.0), (104.0, 110.0), (90.0, 110.0), (5000.0, 110.0)):
            if upload.state in HOLDS_SPACE:
                after = replace(upload, slot_until=until).keep_slot(100.0, limits)
                assert (after.slot_until, after.is_open(100.0, limits.latest_slot_end(100.0))) == (
                    kept,
                    True,
                )
            else:
                assert upload.keep_slot(100.0, limits) is upload
