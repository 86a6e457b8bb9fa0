"""The durable part: one DBOS workflow for each assessment, one DBOS step for each step.

Rule 1: the worker with the lease of the assessment's row runs its workflow.
`Workflows.advance` brings that about from whatever state it finds: unknown to
DBOS, running here, left behind by a dead worker, in another worker's hands.

Rule 2: DBOS fences. A worker that was thought dead cannot record a step any
more once another has resumed the workflow.

Rule 3: the workflow's body stays this small, and its plan is recorded when it
begins, so that a new version of Wherry can finish what an old one began.

Rule 4: a step during which `MAX_TRIES` workers in a row have died is not run again, nor are those
after it: each gets a result that says so, and so there is a report.

Rule 5: DBOS is one instance in a process. This module is imported in the
worker alone.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from threading import Lock
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID

from wherry.assessment.database import engine_options
from wherry.assessment.partial_copy import Interrupted
from wherry.assessment.progress import Allowance, Progress, StepResult, Work
from wherry.assessment.sandbox import Outcome, Problem, Sandbox
from wherry.assessment.steps import place_of, reads_ranges
from wherry.core.assessment import MAX_TRIES, Step
from wherry.events import Event, log_event

#: Bumped by hand when workflows begun by older versions cannot go on. DBOS would
#: otherwise take a digest of the source, and leave them all behind after an edit.
#: A new list of steps is no reason: each workflow has its own, and every name that was
#: ever in one stays known (`steps`). What would be: other arguments of `assess`, another
#: `StepResult`, or other calls of DBOS in `_run`.
APPLICATION_VERSION = "assess-1"
NAME = "assess"
#: The kind of the problem of a step during which too many workers died.
WORKER_DIED = "worker-died"
#: A workflow of this process without a thread is resumed after this time, in seconds.
LOST_TIMEOUT = 3.0
#: How often DBOS polls for a workflow to resume, in seconds.
POLL_INTERVAL = 0.2


def configure(database_url: str, executor: str) -> DBOSConfig:
    """DBOS without its console, its telemetry and its own log format."""
    # DBOS adds a handler of its own unless there is one.
    logging.getLogger("dbos").addHandler(logging.NullHandler())
    return {
        "name": "wherry",
        "system_database_url": database_url,
        "db_engine_kwargs": engine_options(database_url),
        "application_version": APPLICATION_VERSION,
        "executor_id": executor,
        "log_level": "ERROR",
        "enable_otlp": False,
    }


class Workflows:
    """DBOS in this process, between construction and `close`. Its methods block."""

    def __init__(
        self,
        database_url: str,
        sandbox: Sandbox,
        plan: Sequence[str],
        allowance: Allowance,
    ) -> None:
        self._sandbox, self._plan, self._allowance = sandbox, list(plan), allowance
        self._work: dict[str, Work] = {}
        self._lock = Lock()
        # So that no workflow begins after `forget`.
        self._starting = Lock()
        # A body that DBOS runs here now, and when `advance` last saw it do so.
        self._running: Counter[str] = Counter()
        self._seen: dict[str, float] = {}
        # Unique for each start: DBOS resumes what an executor of the same name left
        # behind, even if another worker holds the lease by now.
        self.executor = uuid.uuid4().hex
        self._queue = f"wherry-{self.executor}"
        DBOS(config=configure(database_url, self.executor))

        def assess(plan: list[str]) -> list[dict[str, Any]]:
            return self._run(plan)

        self._assess = DBOS.workflow(name=NAME)(assess)
        # Only what this worker resumed itself is run here.
        DBOS.listen_queues([self._queue])
        DBOS.launch()
        DBOS.register_queue(self._queue, polling_interval_sec=POLL_INTERVAL)

    def close(self) -> None:
        """Let go of the database. Call `Sandbox.close` first."""
        DBOS.delete_queue(self._queue)
        DBOS.destroy()

    # What DBOS runs.

    def _run(self, plan: list[str]) -> list[dict[str, Any]]:
        assessment_id = DBOS.workflow_id or ""
        with self._lock:
            self._running[assessment_id] += 1
        try:
            results: list[dict[str, Any]] = []
            for name in plan:
                step = DBOS.run_step({"name": name}, self._step, assessment_id, name, results)
                results.append(step)
            return results
        finally:
            with self._lock:
                self._running[assessment_id] -= 1

    def _step(self, assessment_id: str, name: str, before: list[dict[str, Any]]) -> dict[str, Any]:
        with self._lock:
            work = self._work.get(assessment_id)
        if work is None:
            # The lease was lost: another worker goes on.
            raise Interrupted
        facts = {result["name"]: result["facts"] or {} for result in before}
        probe = facts.get("probe", {})
        if "unreadable" in probe:
            return asdict(StepResult(name, "skipped", 0.0))
        if (problem := _reason_to_give_up(work.deaths, before)) is not None:
            log_event(Event.STEP_GIVEN_UP, assessment_id=assessment_id, step=name)
            return asdict(_result(name, Outcome(0.0, problem=problem)))
        log_event(Event.STEP_STARTED, assessment_id=assessment_id, step=name)
        bounds = self._allowance(work.length, _duration(probe))
        try:
            step, by_ranges = place_of(name), reads_ranges(name)
        except LookupError:
            # A plan is older than the distribution's removal.
            outcome = Outcome(0.0, problem=Problem("error", "it is not installed any more"))
        else:
            outcome = self._sandbox.run(
                step, work.file, work.scratch, work.keep, bounds, by_ranges=by_ranges
            )
        # A crash here repeats this step and no other.
        return asdict(_result(name, outcome))

    # What the worker asks.

    def enter(self, assessment_id: str, work: Work) -> None:
        """This worker has the lease."""
        with self._lock:
            self._work[assessment_id] = work

    def leave(self, assessment_id: str) -> None:
        """This worker no longer has the lease: begin no further step."""
        with self._lock:
            self._work.pop(assessment_id, None)
            self._seen.pop(assessment_id, None)
            self._running += Counter()  # drops those at zero

    def advance(self, assessment_id: str) -> Progress:
        """Make sure that this process runs the workflow; return its progress.

        Call it repeatedly while the lease is held.
        """
        with self._lock:
            running = self._running[assessment_id] > 0
        status = DBOS.get_workflow_status(assessment_id)
        if status is None:
            with self._starting:
                if assessment_id in self._work:
                    with SetWorkflowID(assessment_id):
                        DBOS.start_workflow(self._assess, self._plan)
            return Progress(_steps(self._plan, {}))
        if status.status == "ERROR":
            return Progress((), failure=f"{type(status.error).__name__}: {status.error}")
        plan = list((status.input or {"args": (self._plan,)})["args"][-1])
        done = {
            step["function_name"]: _parse_result(step["output"])
            for step in DBOS.list_workflow_steps(assessment_id)
            if isinstance(step["output"], dict)
        }
        if status.status == "SUCCESS":
            results = tuple(_parse_result(result) for result in status.output or ())
            return Progress(_steps(plan, done), results=results)
        here = status.executor_id == self.executor and status.status == "PENDING"
        waiting = status.queue_name == self._queue and status.status == "ENQUEUED"
        if not (waiting or (here and not self._is_lost(assessment_id, running))):
            log_event(Event.WORKFLOW_RESUMED, assessment_id=assessment_id)
            DBOS.resume_workflow(assessment_id, queue_name=self._queue)
        return Progress(_steps(plan, done))

    def _is_lost(self, assessment_id: str, running: bool) -> bool:
        """Whether the workflow counts as running here but has had no thread for a while."""
        now = time.monotonic()
        if running:
            self._seen[assessment_id] = now
        lost = now - self._seen.setdefault(assessment_id, now) > LOST_TIMEOUT
        if lost:
            self._seen[assessment_id] = now
        return lost

    def forget(self, assessment_id: str) -> None:
        """The report is recorded, or the assessment has no record: delete what DBOS knows."""
        self.leave(assessment_id)
        with self._starting:
            DBOS.delete_workflow(assessment_id)

    def known(self) -> list[str]:
        """The identifiers of the assessments that have a workflow, in any worker."""
        found = DBOS.list_workflows(
            name=NAME, app_version=APPLICATION_VERSION, load_input=False, load_output=False
        )
        return [workflow.workflow_id for workflow in found]


def _duration(probe: Mapping[str, Any]) -> float:
    value = probe.get("duration")
    return max(float(value), 0.0) if isinstance(value, (int, float)) else 0.0


def _result(name: str, outcome: Outcome) -> StepResult:
    problem = None if outcome.problem is None else asdict(outcome.problem)
    state = "done" if problem is None else "failed"
    confined = list(outcome.confined)
    return StepResult(name, state, outcome.seconds, outcome.result, problem, confined)


def _reason_to_give_up(deaths: int, before: Sequence[Mapping[str, Any]]) -> Problem | None:
    """Why the next step must not run, after `deaths` workers in a row and these results."""
    given_up = [r["name"] for r in before if (r["problem"] or {}).get("kind") == WORKER_DIED]
    if given_up:
        return Problem("not-begun", f"it was not begun, because {given_up[0]} was given up")
    if deaths < MAX_TRIES:
        return None
    return Problem(
        WORKER_DIED,
        f"{deaths} workers in a row died, or lost the database, while it ran, so it is given up. "
        "The workers' logs and the log of their machine say why they ended, most often for want "
        "of memory. The file is safe; to have it assessed again, upload it again",
    )


def _parse_result(recorded: Mapping[str, Any]) -> StepResult:
    return StepResult(**recorded)


def _steps(plan: Sequence[str], done: Mapping[str, StepResult]) -> tuple[Step, ...]:
    """The plan as steps that are done, running or waiting."""
    steps = []
    running = "running"
    for name in plan:
        if name in done:
            result = done[name]
            seconds = None if result.state == "skipped" else result.seconds
            steps.append(Step(name, result.state, seconds))
        else:
            steps.append(Step(name, running))
            running = "waiting"
    return tuple(steps)
