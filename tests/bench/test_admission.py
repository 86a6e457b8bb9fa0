"""Admission, simulated with few uploads: by the real queue, and a wrong one is noticed."""

from __future__ import annotations

import pytest
from bench.admission import GREEDY, LimitExceeded, Simulation, limits_for

from wherry.core.admission import Entry, Queue
from wherry.core.upload import State

PER_MINUTE, SECONDS = 3_000, 20.0


def simulation(capacity: float, max_waiting: int | None = None) -> Simulation:
    return Simulation(PER_MINUTE, SECONDS, limits_for(PER_MINUTE, capacity, max_waiting))


def test_every_upload_ends_and_no_limit_is_exceeded_when_the_slots_do_not_suffice() -> None:
    simulated = simulation(0.5)
    simulated.run()
    assert len(simulated.ended) == 1_000
    assert {c.upload.state for c in simulated.ended} == {State.COMPLETE, State.EXPIRED}
    assert simulated.most_waiting > 100
    assert simulated.most_open == simulated.limits.max_open
    assert sum(len(waits) for waits in simulated.waits().values()) == 1_000


def test_an_owner_who_sends_a_fifth_of_all_uploads_waits_longer_than_the_others() -> None:
    simulated = simulation(0.5)
    simulated.run()
    greedy, others = (
        [c.waited or 0.0 for c in simulated.ended if (c.upload.owner == GREEDY) is is_greedy]
        for is_greedy in (True, False)
    )
    assert sum(greedy) / len(greedy) > 2 * sum(others) / len(others)


def test_uploads_beyond_the_queue_are_refused_and_counted() -> None:
    simulated = simulation(0.5, max_waiting=20)
    simulated.run()
    assert simulated.most_waiting == 20
    assert simulated.refused > 0
    assert simulated.refused + len(simulated.ended) == 1_000


def test_the_report_has_a_row_for_each_kind_of_client() -> None:
    simulated = simulation(2.0)
    simulated.run()
    report = simulated.report()
    assert all(f"| {kind} |" in report for kind in simulated.waits())
    assert "0 refused" in report


def test_a_queue_that_admits_too_many_stops_the_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    def admit_all(queue: Queue, *_: object) -> tuple[Entry, ...]:
        return queue.entries

    monkeypatch.setattr(Queue, "admissible", admit_all)
    with pytest.raises(LimitExceeded, match="uploads are open"):
        simulation(0.5).run()
