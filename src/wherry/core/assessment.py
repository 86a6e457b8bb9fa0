"""The life of an assessment: the durable processing of a finished upload.

Rule 1: an assessment belongs to the worker that holds its lease. A worker that has lost the lease
cannot change anything any more.

Rule 2: when a worker dies, its assessment stays `running` with a lease that runs out, and another
worker takes it over. After `MAX_ATTEMPTS` the assessment is `failed`, because a file that kills
every worker must not do so for ever.

Rule 3: of those that wait, the one with the highest priority is begun first, and of several with
the same priority the oldest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

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
    the deadline clock. `attempts`: how many workers have begun it. `report`: an `assessment.v1`
    document. `problem`: why it failed. `priority`: within its bounds; higher ones are begun first.
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
        """Give the lease to `token`; after `MAX_ATTEMPTS`, fail instead. Raises `LeaseLost`."""
        if not self.is_leasable(now):
            raise LeaseLost
        if self.attempts >= MAX_ATTEMPTS:
            problem = f"{self.attempts} workers ended without finishing it"
            return replace(
                self, state=AssessmentState.FAILED, token=None, finished_at=now, problem=problem
            )
        return replace(
            self,
            state=AssessmentState.RUNNING,
            attempts=self.attempts + 1,
            token=token,
            leased_until=until,
        )

    def renew(self, token: str, until: float) -> Assessment:
        """Extend the lease. Raises `LeaseLost`, as all methods below do."""
        self._require(token)
        return replace(self, leased_until=until)

    def release(self, token: str) -> Assessment:
        """Put it back into the queue, because its worker stops. The attempt does not count."""
        self._require(token)
        return replace(
            self,
            state=AssessmentState.QUEUED,
            attempts=self.attempts - 1,
            token=None,
            leased_until=0.0,
        )

    def with_steps(self, token: str, steps: tuple[Step, ...]) -> Assessment:
        """Record the progress of its steps."""
        self._require(token)
        return replace(self, steps=steps)

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
