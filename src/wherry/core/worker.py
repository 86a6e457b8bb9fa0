"""The state of the worker process that a server keeps running for its assessments.

Rule 1: the state is reported, by the worker while it lives and by its server when it has ended.
It is never inferred from how long something takes.

Rule 2: a worker that ends by itself before it works cannot start, and is failing at once. A worker
that has worked, or was killed, is started again. It is failing when this has happened
`MAX_DEATHS` times and it did not work for `HEALTHY_AFTER` seconds in between.

Rule 3: a failing worker counts as well again when it works; after `MAX_DEATHS` deaths, only when it
has worked for `STEADY_AFTER` seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

#: After this many deaths in a row, the worker is failing.
MAX_DEATHS = 3
#: Seconds between an end and the next start: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: After this many seconds of work, a worker that died too often is no longer failing.
STEADY_AFTER = 5.0
#: After this many seconds of work, earlier deaths are forgotten: the next one has another cause.
HEALTHY_AFTER = 60.0


class WorkerState(Enum):
    STARTING = "starting"
    WORKING = "working"
    FAILING = "failing"  #: It cannot start, dies again and again, or cannot work.


@dataclass(frozen=True, slots=True)
class Worker:
    """What is known of the worker.

    `since`: when it came into this state, in Unix seconds. `problem`: a sentence for people, while
    it is failing. `deaths`: how many in a row. `is_working`: whether the current process has
    reported that it works.
    """

    state: WorkerState = WorkerState.STARTING
    since: float = 0.0
    problem: str | None = None
    deaths: int = 0
    is_working: bool = False

    @property
    def restart_delay(self) -> float:
        """How long to wait before the next start, in seconds."""
        return min(FIRST_PAUSE * 2.0 ** max(self.deaths - 1, 0), LONGEST_PAUSE)

    def work(self, now: float) -> Worker:
        """The worker reports that it works. After too many deaths, it stays failing for now."""
        working = replace(self, is_working=True)
        return working if self.deaths >= MAX_DEATHS else working.recover(now)

    def recover(self, now: float) -> Worker:
        """It has worked for `STEADY_AFTER` seconds, or has not died too often."""
        if self.state is WorkerState.WORKING:
            return self
        return replace(self, state=WorkerState.WORKING, since=now, problem=None)

    def forget_deaths(self) -> Worker:
        """It has worked for `HEALTHY_AFTER` seconds."""
        return replace(self, deaths=0)

    def fail(self, cause: str, now: float) -> Worker:
        """It lives and reports why it cannot work."""
        return self._failing(f"The worker cannot assess: {cause}", now)

    def die(self, cause: str, now: float, by_itself: bool = True) -> Worker:
        """It ended, or could not be started at all. `by_itself`: not killed by another process."""
        dead = replace(self, deaths=self.deaths + 1, is_working=False)
        if by_itself and not self.is_working:
            return dead._failing(f"The worker cannot start: {cause}", now)
        if dead.deaths >= MAX_DEATHS:
            return dead._failing(f"The worker ended {dead.deaths} times in a row: {cause}", now)
        if self.state is WorkerState.FAILING:
            return dead
        return replace(dead, state=WorkerState.STARTING, since=now)

    def _failing(self, problem: str, now: float) -> Worker:
        since = self.since if self.state is WorkerState.FAILING else now
        problem = f"{problem.rstrip('.')}."
        return replace(self, state=WorkerState.FAILING, since=since, problem=problem)
