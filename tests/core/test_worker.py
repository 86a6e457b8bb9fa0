"""When a worker counts as failing, and when that is over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wherry.core.worker import LONGEST_PAUSE, MAX_DEATHS, Worker, WorkerState

STARTING, WORKING, FAILING = WorkerState


def test_one_that_ends_by_itself_before_it_works_cannot_start() -> None:
    dead = Worker().die("no such file", 5.0)
    assert (dead.state, dead.since) == (FAILING, 5.0)
    assert dead.problem == "The worker cannot start: no such file."


def test_a_killed_worker_is_started_again_without_a_problem() -> None:
    for worker in (Worker(), Worker().work(1.0)):
        dead = worker.die("it was ended by SIGKILL", 5.0, by_itself=False)
        assert (dead.state, dead.problem) == (STARTING, None)


def test_one_that_dies_again_and_again_is_failing_though_it_starts_each_time() -> None:
    worker = Worker()
    states = []
    for now in range(MAX_DEATHS + 1):
        worker = worker.work(now).die("it was ended by SIGSEGV", now, by_itself=False)
        states.append(worker.state)
    assert states == [STARTING, STARTING, FAILING, FAILING]
    assert worker.problem == "The worker ended 4 times in a row: it was ended by SIGSEGV."
    assert worker.since == 2


def test_failing_is_over_when_one_works() -> None:
    worker = Worker().die("no such file", 1.0).work(2.0)
    assert (worker.state, worker.since, worker.problem) == (WORKING, 2.0, None)


def test_after_three_deaths_a_worker_has_to_work_for_a_while_first() -> None:
    worker = Worker()
    for now in range(MAX_DEATHS):
        worker = worker.work(now).die("it was ended by SIGKILL", now, by_itself=False)
    again = worker.work(10.0)
    assert again.state is FAILING
    assert again.recover(15.0).state is WORKING
    assert again.recover(15.0).die("killed", 16.0, by_itself=False).state is FAILING
    well = again.recover(15.0).forget_deaths()
    assert well.die("killed", 90.0, by_itself=False).state is STARTING


def test_a_worker_that_cannot_work_stays_failing_when_it_ends() -> None:
    worker = Worker().work(1.0).fail("the disk is full", 2.0)
    assert worker.problem == "The worker cannot assess: the disk is full."
    assert worker.work(3.0).state is WORKING
    dead = worker.die("killed", 4.0, by_itself=False)
    assert (dead.state, dead.since, dead.problem) == (FAILING, 2.0, worker.problem)


def test_deaths_in_a_row_are_followed_by_ever_longer_pauses() -> None:
    worker, pauses = Worker(), []
    for now in range(8):
        worker = worker.die("", now)
        pauses.append(worker.restart_delay)
    assert pauses == [0.5, 1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE]
    assert worker.work(9.0).forget_deaths().die("", 99.0).restart_delay == 0.5


EVENTS = st.sampled_from(["work", "recover", "prosper", "struggle", "die", "killed"])


@given(st.lists(EVENTS, max_size=30))
def test_whatever_happens_there_is_a_problem_exactly_while_it_is_failing(events: list[str]) -> None:
    worker = Worker()
    for now, event in enumerate(events):
        match event:
            case "struggle":
                worker = worker.fail("why", now)
            case "die" | "killed":
                worker = worker.die("why", now, by_itself=event == "die")
            case "prosper":
                worker = worker.forget_deaths()
            case _:
                worker = getattr(worker, event)(now)
        assert (worker.problem is not None) == (worker.state is FAILING)
        assert 0 <= worker.restart_delay <= LONGEST_PAUSE
