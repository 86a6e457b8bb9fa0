"""Every upload that can be reached keeps the promises of the waiting line."""

from tests.core.test_upload_reachable import states, steps

from wherry.core.upload import GONE, State


def test_what_waits_stands_in_the_line_with_nothing_and_only_the_unfinished_does() -> None:
    for upload in states():
        if upload.state is State.WAITING:
            assert upload.queued_at is not None
            assert (upload.received.parts, upload.leases, upload.slot_until) == ((), (), 0)
        assert upload.queued_at is None or upload.state in (State.WAITING, State.RECEIVING)


def test_a_place_in_the_line_is_kept_until_its_turn_or_its_end() -> None:
    for step in steps():
        queued = step.before.queued_at
        if queued is not None and step.after.queued_at != queued:
            left = step.name in ("let_in", "completing") or step.after.state in GONE
            assert (step.after.queued_at, left) == (None, True)


def test_being_let_in_gives_a_slot_to_who_waits_and_changes_nobody_else() -> None:
    for step in steps("let_in"):
        waits, after = step.before.queued_at is not None, step.after
        assert (after is step.before) == (not waits)
        assert not waits or (after.state, after.slot_until) == (State.RECEIVING, step.args[1])


def test_only_who_sent_nothing_in_its_time_forfeits_its_turn() -> None:
    for step in steps("forfeit"):
        before, (now,) = step.before, step.args
        busy = bool(before.received.parts or before.leases)
        busy = busy or before.queued_at is not None
        goes = before.state is State.RECEIVING and not busy and before.slot_until <= now
        assert (step.after.state is State.EXPIRED) == goes or before.state in GONE
        assert goes or step.after is before
