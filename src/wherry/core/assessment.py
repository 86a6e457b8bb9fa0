"""The life of an assessment: the durable processing of a finished upload.

Rule 1: an assessment belongs to the worker that holds its lease. A worker that has lost the lease
cannot change anything any more.

Rule 2: when a worker dies, its assessment stays `running` with a lease that runs out, and another
worker takes it over. A file that kills its workers must not do so for ever: when `MAX_TRIES` in a
row have died without finishing a step, the next one gives up that step and those after it, and
makes the report. If that worker dies, too, or after `MAX_ATTEMPTS`, the assessment is `failed`.

Rule 3: of those that wait, the one with the highest priority is begun first, and of several with
the same priority the oldest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

#: How many workers in a row may die during one step.
MAX_TRIES = 3
#: How many workers may begin it, and fail in any way.
MAX_ATTEMPTS = 20
#: The longest lease, in seconds. The steady clock begins anew with the machine, so a lease that
#: ends later than this was taken before the last start and does not count.
LONGEST_LEASE = 60.0
#: The bounds of a priority; 0 is the usual one.
LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100


class AssessmentState(Enum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"  #: There is a report, whatever its verdict.
    FAILED = "failed"  #: Wherry could not finish it; there is no report.


#: States in which the upload's file must not be deleted, because it will be read.
NEEDS_FILE = (AssessmentState.QUEUED, AssessmentState.RUNNING)


@dataclass(frozen=True, slots=True)
class Step:
    """The progress of one step. `seconds`: how long it took; None if it has not run.

    `state`: waiting, running, done, failed, or skipped (if the file cannot be read at all).
    """

    name: str
    state: str = "waiting"
    seconds: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether it will not run any more."""
        return self.state not in ("waiting", "running")


class LeaseLost(Exception):
    """The worker has lost its lease: another worker may have this assessment by now."""


class NotQueued(Exception):
    """The assessment does not wait any more: a worker has begun it, or it is over."""


def parse_priority(given: object) -> int:
    """The priority. Raises `ValueError` for what is none."""
    # Not `isinstance`: True and False are numbers in Python.
    if type(given) is int and LOWEST_PRIORITY <= given <= HIGHEST_PRIORITY:
        return given
    bounds = f"from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}"
    raise ValueError(f"a priority is a whole number {bounds}, not {given!r:.100}")


@dataclass(frozen=True, slots=True)
class Assessment:
    """The processing of one upload's file.

    `token`: of the worker that has the lease; None if no worker has. `leased_until`: by the
    machine's steady clock, which all of its processes share. `created_at` and `finished_at`: by
    the deadline clock. `attempts`: how many workers have begun it. `tries`: how many in a row have
    not shown since then that they live, the one that has it now included. `report`: an
    `assessment.v1` document. `problem`: why it failed. `priority`: within its bounds; higher ones
    are begun first.
    """

    id: str
    upload_id: str
    owner: str
    created_at: float
    state: AssessmentState = AssessmentState.QUEUED
    attempts: int = 0
    token: str | None = None
    leased_until: float = 0.0
    steps: tuple[Step, ...] = ()
    finished_at: float | None = None
    report: Mapping[str, Any] | None = None
    problem: str | None = None
    priority: int = 0
    tries: int = 0

    @property
    def order(self) -> tuple[int, float, str]:
        """By this, workers take those that they can lease; the least comes first."""
        return -self.priority, self.created_at, self.id

    @property
    def is_over(self) -> bool:
        """Whether it is done or failed, so that no worker will take it."""
        return self.state in (AssessmentState.DONE, AssessmentState.FAILED)

    def is_leasable(self, now: float) -> bool:
        """Whether a worker may take it: it is queued, or its worker has let the lease run out."""
        queued = self.state is AssessmentState.QUEUED
        is_leased = now < self.leased_until <= now + LONGEST_LEASE
        return queued or (self.state is AssessmentState.RUNNING and not is_leased)

    def prioritise(self, priority: int) -> Assessment:
        """Change its priority while it waits. Raises `NotQueued`, `ValueError`."""
        given = parse_priority(priority)
        if self.state is not AssessmentState.QUEUED:
            raise NotQueued
        return replace(self, priority=given)

    def needs_file(self) -> bool:
        """Whether the upload's file will still be read."""
        return self.state in NEEDS_FILE

    def lease(self, token: str, now: float, until: float) -> Assessment:
        """Give the lease to `token`; after too many, fail instead. Raises `LeaseLost`."""
        if not self.is_leasable(now):
            raise LeaseLost
        if (problem := self._reason_to_fail()) is not None:
            return replace(
                self, state=AssessmentState.FAILED, token=None, finished_at=now, problem=problem
            )
        return replace(
            self,
            state=AssessmentState.RUNNING,
            attempts=self.attempts + 1,
            tries=self.tries + 1,
            token=token,
            leased_until=until,
        )

    def _reason_to_fail(self) -> str | None:
        """Why no worker should begin it once more; None if one should."""
        if self.tries > MAX_TRIES:
            return (
                f"{self.tries} workers in a row died, or lost the database, while they assessed "
                "this file. The file is safe. The workers' logs and the log of their machine say "
                "why they ended, most often for want of memory; then upload the file again"
            )
        if self.attempts >= MAX_ATTEMPTS:
            return (
                f"{self.attempts} workers began it and none could finish it. The file is safe. The "
                "events worker-failed and workflow-failed in their logs say why; then upload the "
                "file again"
            )
        return None

    @property
    def deaths(self) -> int:
        """While a worker has it: how many before that one have died in a row."""
        return self.tries - 1

    def survive(self, token: str) -> Assessment:
        """Its worker has failed, and lives. The lease runs out, and counts as no death."""
        self._require(token)
        return replace(self, tries=max(self.tries - 1, 0))

    def renew(self, token: str, until: float) -> Assessment:
        """Extend the lease. Raises `LeaseLost`, as all methods below do."""
        self._require(token)
        return replace(self, leased_until=until)

    def release(self, token: str) -> Assessment:
        """Put it back into the queue, because its worker stops. It has been no attempt."""
        self._require(token)
        return replace(
            self,
            state=AssessmentState.QUEUED,
            attempts=self.attempts - 1,
            tries=max(self.tries - 1, 0),
            token=None,
            leased_until=0.0,
        )

    def with_steps(self, token: str, steps: tuple[Step, ...]) -> Assessment:
        """Record the progress of its steps. When one more is over, earlier deaths are forgotten."""
        self._require(token)
        before, after = (sum(step.is_over for step in each) for each in (self.steps, steps))
        return replace(self, steps=steps, tries=1 if after > before else self.tries)

    def finish(self, token: str, now: float, report: Mapping[str, Any]) -> Assessment:
        """Record the report: the assessment is done."""
        self._require(token)
        return replace(self, state=AssessmentState.DONE, token=None, finished_at=now, report=report)

    def give_up(self, token: str, now: float, problem: str) -> Assessment:
        """Fail it, with the reason."""
        self._require(token)
        return replace(
            self, state=AssessmentState.FAILED, token=None, finished_at=now, problem=problem
        )

    def _require(self, token: str) -> None:
        if self.state is not AssessmentState.RUNNING or self.token != token:
            raise LeaseLost
