"""Which changes are webhooks, and the life of a delivery."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.states import State
from wherry.core.upload import Upload
from wherry.core.webhooks import (
    LONGEST_DELAY,
    MAX_ATTEMPTS,
    Delivery,
    DeliveryState,
    DeliveryTaken,
    Outbox,
    delay_after,
)

OUTBOX = Outbox(("https://a.example", "https://b.example"), lambda: 0.25, lambda: "id")
NEW = Delivery("msg_1", "https://a.example", "upload.completed", "{}", 1.0)
DAY = 24 * 3600


def upload(state: State, name: str = "film.mp4") -> Upload:
    return Upload("u", "o", name, limit=10, length=10, state=state)


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_only_becoming_complete_is_an_event_of_an_upload(before: State, after: State) -> None:
    found = OUTBOX.of_upload(upload(before), upload(after))
    is_event = after is State.COMPLETE and before is not State.COMPLETE
    assert [each.url for each in found] == (list(OUTBOX.urls) if is_event else [])


@pytest.mark.parametrize("before", AssessmentState)
@pytest.mark.parametrize("after", AssessmentState)
def test_only_ending_is_an_event_of_an_assessment(
    before: AssessmentState, after: AssessmentState
) -> None:
    old, new = (Assessment("a", "u", "o", 1.0, state=state) for state in (before, after))
    found = OUTBOX.of_assessment(old, new, lambda: upload(State.COMPLETE))
    is_event = new.is_over and not old.is_over
    assert len(found) == (2 if is_event else 0)


def test_an_assessment_whose_upload_cannot_be_read_is_still_announced() -> None:
    old = Assessment("a", "u", "o", 1.0)
    new = replace(old, state=AssessmentState.FAILED, problem="no picture")
    data = json.loads(OUTBOX.of_assessment(old, new, lambda: None)[0].payload)["data"]
    assert data == {
        "upload_id": "u",
        "owner": "o",
        "assessment_id": "a",
        "state": "failed",
        "verdict": None,
        "problem": "no picture",
    }


@given(st.text())
def test_every_file_name_is_sent_in_ascii_and_comes_back(name: str) -> None:
    [first, _] = OUTBOX.of_upload(None, upload(State.COMPLETE, name))
    assert first.payload.isascii()
    assert json.loads(first.payload)["data"]["filename"] == name


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_the_attempts_take_about_a_day_and_grow_apart(chance: float) -> None:
    delays = [delay_after(attempts, chance) for attempts in range(1, MAX_ATTEMPTS)]
    assert delays == sorted(delays)
    assert delays[0] <= 5
    assert max(delays) <= LONGEST_DELAY
    assert 0.8 * DAY < sum(delays) < 1.1 * DAY


def test_a_delivery_is_given_up_after_its_last_attempt() -> None:
    delivery, now = NEW, 0.0
    for number in range(1, MAX_ATTEMPTS + 1):
        assert delivery.is_due(now)
        delivery = delivery.take("t", now, now + 60)
        assert (delivery.attempts, delivery.is_due(now)) == (number, False)
        delivery = delivery.retry("t", now, "refused", 10.0)
        now += 10.0
    assert delivery.state is DeliveryState.FAILED
    assert delivery.ended_at == now - 10.0
    again = delivery.replay()
    assert again.is_due(0.0)
    assert again.attempts == 0


def test_only_the_process_that_has_taken_a_delivery_may_end_it() -> None:
    first = NEW.take("first", 0.0, 60.0)
    with pytest.raises(DeliveryTaken):
        first.take("second", 59.0, 99.0)
    second = first.take("second", 60.0, 120.0)
    late_ends: tuple[Callable[[], object], ...] = (
        lambda: second.deliver("first", 61.0),
        lambda: second.retry("first", 61.0, "refused", 1.0),
        lambda: second.refuse("first", 61.0, "gone"),
        lambda: second.release("first", 61.0),
        lambda: second.deliver("second", 61.0).deliver("second", 61.0),
    )
    for late in late_ends:
        with pytest.raises(DeliveryTaken):
            late()
    assert second.deliver("second", 61.0).state is DeliveryState.DELIVERED


def test_an_attempt_that_the_server_breaks_off_does_not_count() -> None:
    assert NEW.take("t", 5.0, 65.0).release("t", 6.0) == replace(NEW, due_at=6.0)


def test_what_is_being_sent_is_not_given_up() -> None:
    taken = NEW.take("t", 5.0, 65.0)
    assert taken.give_up(6.0, "not wanted") is taken
    assert NEW.give_up(6.0, "not wanted").state is DeliveryState.FAILED
    done = taken.deliver("t", 6.0)
    assert done.give_up(7.0, "not wanted") is done
    assert taken.replay() is taken
