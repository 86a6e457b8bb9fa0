"""The life of an assessment: the durable processing of a finished upload.

Rule 1: an assessment belongs to the worker that holds its lease. A worker that
lost it cannot change anything any more.

Rule 2: a worker that dies leaves the assessment `running` with a lease that
runs out; the next worker takes it up. After `MAX_ATTEMPTS` it is `failed`: a
file that kills its worker every time must not do so for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

MAX_ATTEMPTS = 20
#: No lease is longer, in seconds: one that ends later was taken before the machine started anew.
LONGEST_LEASE = 60.0


class AssessmentState(Enum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"  #: There is a report, whatever its verdict.
    FAILED = "failed"  #: Wherry itself could not finish it.


#: In these states the upload's file is still to be read.
NEEDS_FILE = (AssessmentState.QUEUED, AssessmentState.RUNNING)


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it happens, and its seconds where it ran.

    `state`: waiting, running, done, failed, or skipped, where the file cannot be read at all.
    """

    name: str
    state: str = "waiting"
    seconds: float | None = None


class LeaseLost(Exception):
    """Another worker has this assessment by now."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """`report` is an `assessment.v1` document.

    `leased_until` is a moment of the machine's steady clock, which all of its processes share;
    `created_at` of the deadline clock.
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

    @property
    def is_over(self) -> bool:
        """Whether no worker has anything to do with it any more."""
        return self.state in (AssessmentState.DONE, AssessmentState.FAILED)

    def is_leasable(self, now: float) -> bool:
        queued = self.state is AssessmentState.QUEUED
        is_leased = now < self.leased_until <= now + LONGEST_LEASE
        return queued or (self.state is AssessmentState.RUNNING and not is_leased)

    def needs_file(self) -> bool:
        """Whether there is still something to be read of the upload's file."""
        return self.state in NEEDS_FILE

    def lease(self, token: str, now: float, until: float) -> Assessment:
        """Take it, or give it up for good once too many workers have died of it."""
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
        self._require(token)
        return replace(self, leased_until=until)

    def release(self, token: str) -> Assessment:
        """Back into the queue, as if it had not been leased: its worker is asked to end."""
        self._require(token)
        return replace(
            self,
            state=AssessmentState.QUEUED,
            attempts=self.attempts - 1,
            token=None,
            leased_until=0.0,
        )

    def with_steps(self, token: str, steps: tuple[Step, ...]) -> Assessment:
        self._require(token)
        return replace(self, steps=steps)

    def finish(self, token: str, now: float, report: Mapping[str, Any]) -> Assessment:
        self._require(token)
        return replace(self, state=AssessmentState.DONE, token=None, finished_at=now, report=report)

    def give_up(self, token: str, now: float, problem: str) -> Assessment:
        self._require(token)
        return replace(
            self, state=AssessmentState.FAILED, token=None, finished_at=now, problem=problem
        )

    def _require(self, token: str) -> None:
        if self.state is not AssessmentState.RUNNING or self.token != token:
            raise LeaseLost
