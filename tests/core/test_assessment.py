"""Every state an assessment can reach keeps its promises: one worker, one end.

Two workers compete (`a` and `b`), the clock has five instants, and a lease
lasts one of them; all states are listed, as for uploads.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import pytest

from wherry.core.assessment import (
    MAX_ATTEMPTS,
    MAX_TRIES,
    Assessment,
    AssessmentState,
    LeaseLost,
    NotQueued,
    Step,
)

TOKENS = ("a", "b")
INSTANTS = (1.0, 2.0, 3.0)
LAST = INSTANTS[-1] + 2
ENDED = (AssessmentState.DONE, AssessmentState.FAILED)

NEW = Assessment("i", upload_id="u", owner="o", created_at=0.0)


class Action(NamedTuple):
    """One method of `Assessment` with its arguments."""

    name: str
    args: tuple[Any, ...]


class Taken(NamedTuple):
    before: Assessment
    name: str
    args: tuple[Any, ...]
    after: Assessment | None  #: None where the lease was lost.


ACTIONS = [
    *(Action("lease", (token, now, now + 1)) for token in TOKENS for now in INSTANTS),
    *(Action("renew", (token, LAST - 1)) for token in TOKENS),
    *(Action("with_steps", (token, (Step("probe", "done", 1.0),))) for token in TOKENS),
    *(Action("release", (token,)) for token in TOKENS),
    *(Action("survive", (token,)) for token in TOKENS),
    *(Action("finish", (token, 2.0, {"by": token})) for token in TOKENS),
    *(Action("give_up", (token, 2.0, f"of {token}")) for token in TOKENS),
]


def key(assessment: Assessment) -> str:
    """A report is a mapping and has no hash."""
    return repr(assessment)


@cache
def walk() -> tuple[Taken, ...]:
    seen, todo, taken = {key(NEW)}, [NEW], []
    while todo:
        before = todo.pop()
        for name, args in ACTIONS:
            act: Callable[..., Assessment] = getattr(before, name)
            try:
                after = act(*args)
            except LeaseLost:
                taken.append(Taken(before, name, args, None))
                continue
            taken.append(Taken(before, name, args, after))
            if key(after) not in seen:
                seen.add(key(after))
                todo.append(after)
    return tuple(taken)


def steps(*names: str) -> list[tuple[Assessment, tuple[Any, ...], Assessment]]:
    """What was done: before, the arguments, after."""
    done = [taken for taken in walk() if not names or taken.name in names]
    return [(before, args, after) for before, _, args, after in done if after is not None]


def refused(*names: str) -> list[tuple[Assessment, tuple[Any, ...]]]:
    return [(t.before, t.args) for t in walk() if t.after is None and t.name in names]


def states() -> list[Assessment]:
    return [NEW, *(after for _, _, after in steps())]


def test_every_state_is_reached() -> None:
    assert {assessment.state for assessment in states()} == set(AssessmentState)


def test_only_a_running_assessment_has_a_worker() -> None:
    for assessment in states():
        assert (assessment.token is not None) == (assessment.state is AssessmentState.RUNNING)


def test_a_worker_without_the_lease_changes_nothing() -> None:
    verbs = ("renew", "with_steps", "finish", "give_up", "survive")
    assert all(before.token == args[0] for before, args, _ in steps(*verbs))
    assert all(before.token != args[0] for before, args in refused(*verbs))


def test_an_assessment_is_leased_only_if_its_lease_has_run_out_or_there_is_none() -> None:
    for before, (token, now, until), after in steps("lease"):
        assert before.is_leasable(now)
        assert before.state is AssessmentState.QUEUED or before.leased_until <= now
        if after.state is AssessmentState.RUNNING:
            assert (after.token, after.leased_until) == (token, until)


def test_an_orphan_is_leasable_by_anybody_and_nothing_else_refuses_a_lease() -> None:
    for before, (_, now, _) in refused("lease"):
        assert not before.is_leasable(now)
        assert before.state in ENDED or before.leased_until > now


def test_an_ended_assessment_never_changes() -> None:
    assert all(before.state not in ENDED for before, _, _ in steps())


def test_an_ended_assessment_has_its_time_and_its_outcome() -> None:
    for assessment in states():
        done = assessment.state is AssessmentState.DONE
        failed = assessment.state is AssessmentState.FAILED
        assert (assessment.finished_at is not None) == (done or failed)
        assert (assessment.report is not None) == done
        assert (assessment.problem is not None) == failed


def test_every_lease_is_an_attempt_and_nothing_else_is() -> None:
    for before, _, after in steps("renew", "with_steps", "finish", "give_up", "survive"):
        assert after.attempts == before.attempts
    for before, _, after in steps("lease"):
        running = after.state is AssessmentState.RUNNING
        assert after.attempts == before.attempts + running <= MAX_ATTEMPTS


def test_a_worker_that_is_asked_to_end_leaves_it_as_if_it_had_not_come() -> None:
    for before, _, after in steps("release"):
        assert (after.state, after.attempts) == (AssessmentState.QUEUED, before.attempts - 1)
        assert after.is_leasable(0.0)


def test_a_file_that_kills_every_worker_fails_in_the_end() -> None:
    """`MAX_TRIES` during a step, and the one that was to report that."""
    assessment, now = NEW, 0.0
    for number in range(MAX_TRIES + 1):
        assessment = assessment.lease("a", now, now + 1)
        assert (assessment.state, assessment.deaths) == (AssessmentState.RUNNING, number)
        now += 1
    assessment = assessment.lease("b", now, now + 1)
    assert (assessment.state, assessment.finished_at) == (AssessmentState.FAILED, now)
    assert f"{MAX_TRIES + 1} workers in a row died" in str(assessment.problem)


def test_failures_that_workers_outlive_are_no_deaths_but_not_without_end() -> None:
    assessment, now = NEW, 0.0
    for _ in range(MAX_ATTEMPTS):
        assessment = assessment.lease("a", now, now + 1).survive("a")
        assert (assessment.state, assessment.tries) == (AssessmentState.RUNNING, 0)
        now += 1
    assessment = assessment.lease("b", now, now + 1)
    assert (assessment.state, assessment.finished_at) == (AssessmentState.FAILED, now)
    assert f"{MAX_ATTEMPTS} workers began it" in str(assessment.problem)


def test_a_finished_step_makes_earlier_deaths_forgotten() -> None:
    assessment = NEW.lease("a", 0.0, 1.0).lease("b", 1.0, 2.0).lease("c", 2.0, 3.0)
    running, done = Step("probe", "running"), Step("probe", "done", 1.0)
    assert assessment.with_steps("c", (running,)).deaths == 2
    after = assessment.with_steps("c", (done,))
    assert after.deaths == 0
    # The same step is no progress once more.
    assert after.lease("d", 3.0, 4.0).with_steps("d", (done,)).deaths == 1


def test_a_worker_that_gives_it_back_is_no_death_and_excuses_none() -> None:
    assessment = NEW.lease("a", 0.0, 1.0).lease("b", 1.0, 2.0).release("b")
    assert assessment.lease("c", 2.0, 3.0).deaths == 1


def test_finished_steps_survive_the_worker_that_did_them() -> None:
    for before, _, after in steps("lease", "renew", "finish", "give_up"):
        assert after.steps == before.steps
    assert any(before.steps and before.token != after.token for before, _, after in steps("lease"))


def test_what_an_assessment_is_of_never_changes() -> None:
    for _, _, after in steps():
        assert (after.id, after.upload_id, after.owner, after.created_at) == ("i", "u", "o", 0.0)


def test_only_an_assessment_that_waits_changes_its_priority() -> None:
    for assessment in states():
        if assessment.state is AssessmentState.QUEUED:
            assert assessment.prioritise(7) == replace(assessment, priority=7)
        else:
            with pytest.raises(NotQueued):
                assessment.prioritise(7)


@pytest.mark.parametrize("given", [-101, 101, True, 1.0, "1", None])
def test_what_is_no_priority_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="from -100 to 100"):
        NEW.prioritise(given)


def test_higher_priorities_come_first_and_then_older_ones() -> None:
    old, new = replace(NEW, created_at=1.0), replace(NEW, created_at=2.0)
    high, low = replace(new, priority=1), replace(old, priority=-1)
    assert sorted([new, low, old, high], key=lambda a: a.order) == [high, old, new, low]


@pytest.mark.parametrize("token", [None, ""])
def test_no_token_is_no_key(token: Any) -> None:
    with pytest.raises(LeaseLost):
        NEW.finish(token, 1.0, {})
