"""The worker that a server keeps running for its assessments, as everybody is told of it.

Rule 1: its state is stated, by the worker itself while it lives and by its server when it
has died. Nobody concludes it from how long something takes.

Rule 2: one that ends by itself before it works cannot start, and is failing at once. One that
worked, or was killed, may die: it is started again, and is failing when it has died three
times without having lived well in between.

Rule 3: failing is over when one works; after three deaths, when it has worked for a while.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

#: So many deaths in a row are no accident.
MAX_DEATHS = 3
#: Seconds between two starts: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: After so many seconds of work a worker that was failing counts as well again.
STEADY_AFTER = 5.0
#: A worker that worked this long died of something new, in seconds.
HEALTHY_AFTER = 60.0


class WorkerState(Enum):
    STARTING = "starting"
    WORKING = "working"
    FAILING = "failing"  #: It cannot start, dies again and again, or cannot work.


@dataclass(frozen=True, slots=True)
class Worker:
    """`since`: Unix seconds. `problem`: a sentence for a person, while it is failing.

    `deaths`: in a row. `is_working`: whether the one that lives now said that it works.
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
        """It says that it works. One of those that died again and again has to prove it."""
        working = replace(self, is_working=True)
        return working if self.deaths >= MAX_DEATHS else working.recover(now)

    def recover(self, now: float) -> Worker:
        """It has worked for `STEADY_AFTER` seconds, or need not prove itself."""
        if self.state is WorkerState.WORKING:
            return self
        return replace(self, state=WorkerState.WORKING, since=now, problem=None)

    def forget_deaths(self) -> Worker:
        """It has worked for `HEALTHY_AFTER` seconds: what was before is forgotten."""
        return replace(self, deaths=0)

    def fail(self, cause: str, now: float) -> Worker:
        """It lives and says that it cannot work, and why."""
        return self._failing(f"The worker cannot assess: {cause}", now)

    def die(self, cause: str, now: float, by_itself: bool = True) -> Worker:
        """It ended, or could not be started at all; not `by_itself`: it was killed."""
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
