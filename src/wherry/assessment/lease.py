"""The right of one worker to one assessment, in the catalog.

Rule 1: every write is fenced: it happens only while the row still has this
lease's token. Without it, `LeaseLost` is raised and nothing is written.

Rule 2: leases run by a clock that all workers share. On one machine, that is its steady clock,
which cannot be set; a lease from before a restart of the machine ends at once, or within the length
of one lease. On several machines, it is the clock of the database.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar, Unpack

from wherry.catalog import Catalog
from wherry.core.assessment import Assessment, AssessmentState, LeaseLost, Step
from wherry.core.errors import NotThere, UploadError
from wherry.events import Event, Facts, log_event

T = TypeVar("T")

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Lease:
    """An assessment that this worker has leased.

    Its methods raise `LeaseLost`, and what the catalog raises.
    """

    catalog: Catalog
    assessment: Assessment
    token: str
    seconds: float
    clock: Clock = time.monotonic

    @classmethod
    async def take(
        cls,
        catalog: Catalog,
        seconds: float,
        clock: Clock = time.monotonic,
        most: int | None = None,
    ) -> Self | None:
        """Take the first assessment that is queued, or whose worker is gone; None if none is.

        If too many workers have died at it, its assessment `is_over`, and no worker has it.
        `most`: none is taken while so many run, with all workers together.
        """
        token, now = uuid.uuid4().hex, clock()

        def change(assessment: Assessment) -> Assessment:
            after = assessment.lease(token, now, now + seconds)
            ended = after.state is AssessmentState.FAILED
            return replace(after, finished_at=time.time()) if ended else after

        leased = await catalog.lease_assessment(now, change, most)
        if leased is None:
            return None
        lease = cls(catalog, leased, token, seconds, clock)
        if leased.state is AssessmentState.FAILED:
            lease.log_event(Event.ASSESSMENT_FAILED, problem=leased.problem)
        else:
            lease.log_event(Event.ASSESSMENT_CLAIMED, attempt=leased.attempts)
        return lease

    def log_event(self, event: Event, trace: bool = False, **facts: Unpack[Facts]) -> None:
        """Log an event of this assessment."""
        facts["assessment_id"], facts["upload_id"] = self.assessment.id, self.assessment.upload_id
        log_event(event, trace=trace, **facts)

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` while renewing the lease; cancel `work` when the lease is lost."""
        working, keeping = asyncio.create_task(work), asyncio.create_task(self._keep())
        try:
            await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise LeaseLost
            return await working
        finally:
            for task in (working, keeping):
                task.cancel()
            await asyncio.gather(working, keeping, return_exceptions=True)

    async def _keep(self) -> None:
        """Renew until the lease is lost."""
        until = self.assessment.leased_until
        while self.clock() < until:
            await asyncio.sleep(self.seconds / 4)
            try:
                until = await self._renew(self.clock() + self.seconds)
            except (LeaseLost, NotThere):
                return
            except Exception as error:  # the database may be back before the time is up
                is_known = isinstance(error, UploadError)
                self.log_event(Event.ASSESSMENT_NOT_RENEWED, problem=str(error), trace=not is_known)

    async def _renew(self, until: float) -> float:
        await self.catalog.update_assessment(
            self.assessment.id, lambda a: a.renew(self.token, until)
        )
        return until

    async def record_steps(self, steps: tuple[Step, ...]) -> None:
        """Record the progress of the steps."""
        await self.catalog.update_assessment(
            self.assessment.id, lambda a: a.with_steps(self.token, steps)
        )

    async def survive(self) -> None:
        """Record that the worker has failed, and lives: the lease runs out, and is no death."""
        await self.catalog.update_assessment(self.assessment.id, lambda a: a.survive(self.token))

    async def finish(self, report: Mapping[str, Any]) -> None:
        """Record the report; the assessment is done."""
        now = time.time()
        await self.catalog.update_assessment(
            self.assessment.id, lambda a: a.finish(self.token, now, report)
        )
        self.log_event(Event.ASSESSMENT_DONE, verdict=report["verdict"])

    async def give_up(self, problem: str) -> None:
        """Record that the assessment has failed, and why."""
        now = time.time()
        await self.catalog.update_assessment(
            self.assessment.id, lambda a: a.give_up(self.token, now, problem)
        )
        self.log_event(Event.ASSESSMENT_FAILED, problem=problem)

    async def release(self) -> None:
        """Give the lease back, so that the next worker can take it at once."""
        await self.catalog.update_assessment(self.assessment.id, lambda a: a.release(self.token))
        self.log_event(Event.ASSESSMENT_RELEASED)
