"""The worker: takes queued assessments, has them done, and records their reports.

Rule 1: an assessment is the worker's while it holds the lease. A worker that
lost it writes nothing any more and stops looking.

Rule 2: the lease is the reaper. What a dead worker left is leased like what is
queued, by whoever looks next; nothing has to happen at a start.

Rule 3: no file and no database stops the loop. What cannot be done now is tried
again when its lease has run out, and given up after `MAX_ATTEMPTS` leases. A worker
that cannot do anything says so (`standing.py`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Never

from wherry.assessment.lease import Lease
from wherry.assessment.lifetime import (
    GRACE,
    end_in_time,
    end_now,
    end_within,
    only_one,
    sleep_or,
    stop_on_signals,
    stop_when_closed,
)
from wherry.assessment.picture_sink import PictureSink
from wherry.assessment.policy import POLICIES, Policy
from wherry.assessment.progress import Allowance, Progress, Work, allow
from wherry.assessment.report import render_report
from wherry.assessment.sandbox import Sandbox, download_for_steps, remove_scratch
from wherry.assessment.standing import ByHand, Say, cause_of, say_to_supervisor
from wherry.assessment.steps import current_plan
from wherry.catalog import Catalog
from wherry.core.assessment import LeaseLost
from wherry.core.errors import NotThere, UploadNotFound
from wherry.core.upload import Upload
from wherry.events import Event, log_event
from wherry.locks import Locks
from wherry.storage import Storage, StoredFile

if TYPE_CHECKING:
    from wherry.assessment.workflow import Workflows


#: So many failures in a row are told, and no longer once it was quiet for so many leases.
IN_VAIN, QUIET = 3, 3


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: how long a lease lasts, and how often is looked for work and for progress."""

    lease: float = 10.0
    look: float = 0.5
    watch: float = 0.2


@dataclass(frozen=True, slots=True)
class Assessing:
    """How assessments are done here: what is done, judged by what, how many at once."""

    plan: Sequence[str] = field(default_factory=current_plan)
    policy: Policy = POLICIES["web"]
    concurrency: int = 1
    pace: Pace = Pace()
    allowance: Allowance = allow


@dataclass(frozen=True, slots=True)
class Site:
    """Where a worker finds what it needs.

    `date_of(moment)` gives the Unix seconds of a moment of the deadline clock.
    `data` is the folder for what steps draw until storage has it and, unless
    `database_url` says otherwise, for the workflows' own database.
    """

    catalog: Catalog
    storage: Storage
    data: Path
    locks: Locks
    database_url: str | None = None
    date_of: Callable[[float], float] = lambda moment: moment

    def scratch_of(self, assessment_id: str) -> Path:
        """The folder in which steps draw."""
        return self.data / "assessments" / assessment_id

    @property
    def workflows_url(self) -> str:
        return self.database_url or f"sqlite:///{(self.data / 'dbos.sqlite').absolute()}"


def work(
    site: Site, *, until_stdin_closes: bool = False, assessing: Assessing = Assessing()
) -> Never:
    """Process assessments until SIGTERM or the end of the standard input; then end the process.

    With `until_stdin_closes`, one process over `site.locks` works and the others wait for
    its end. Call it on the main thread. Raises what the databases raise at the start.
    """
    try:
        asyncio.run(_work(site, until_stdin_closes, assessing))
    except BaseException:
        end_within(GRACE)
        raise
    end_now()


async def _work(site: Site, until_stdin_closes: bool, assessing: Assessing) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    ending = asyncio.create_task(end_in_time(stop))
    try:
        if until_stdin_closes:
            stop_when_closed(0, stop)
            async with only_one(site.locks, stop) as is_the_one:
                if is_the_one:
                    await run_worker(site, stop, assessing, say_to_supervisor)
        else:
            await run_worker(site, stop, assessing, ByHand(site.data))
    finally:
        await site.catalog.close()
        ending.cancel()


async def run_worker(
    site: Site, stop: asyncio.Event, assessing: Assessing = Assessing(), tell: Say = lambda _: None
) -> None:
    """Process assessments until `stop` is set. One in a process: DBOS is.

    `tell` hears when it begins to work, and when it cannot.
    """
    # Only now: a worker that waits for its turn needs neither DBOS nor its memory.
    from wherry.assessment.workflow import Workflows  # noqa: PLC0415

    sandbox = Sandbox()
    workflows = await asyncio.to_thread(
        Workflows, site.workflows_url, sandbox, assessing.plan, assessing.allowance
    )
    log_event(Event.WORKER_STARTED, executor=workflows.executor, pid=os.getpid())
    worker = Worker(site, assessing, workflows, sandbox, tell)
    tell(None)
    try:
        async with asyncio.TaskGroup() as lanes:
            for _ in range(assessing.concurrency):
                lanes.create_task(worker.lane(stop))
    finally:
        sandbox.close()
        await asyncio.to_thread(workflows.close)
    log_event(Event.WORKER_STOPPED, executor=workflows.executor)


class Worker:
    """One leased assessment after the other, in as many lanes as wanted."""

    def __init__(
        self,
        site: Site,
        assessing: Assessing,
        workflows: Workflows,
        sandbox: Sandbox,
        tell: Say = lambda _: None,
    ) -> None:
        self._site, self._workflows, self._sandbox = site, workflows, sandbox
        self._policy, self._pace, self._tell = assessing.policy, assessing.pace, tell
        self._failures, self._failed_at = 0, 0.0
        self._is_away = False

    async def lane(self, stop: asyncio.Event) -> None:
        """Lease and assess until `stop` is set."""
        while not stop.is_set():
            try:
                # No lease in vain: a lease is an attempt, and attempts are counted.
                is_present = await self._is_present()
                lease = (
                    await Lease.take(self._site.catalog, self._pace.lease) if is_present else None
                )
                if lease is not None:
                    await self._assess(lease, stop)
                    continue
                self._be_well(time.monotonic() - self._failed_at > QUIET * self._pace.lease)
            except (LeaseLost, NotThere):
                log_event(Event.LEASE_LOST)
            except Exception as error:  # Rule 3
                log_event(Event.WORKER_FAILED, trace=True)
                self._fail(cause_of(error))
            await sleep_or(stop, self._pace.look)

    async def _is_present(self) -> bool:
        """Whether the storage is there; that it is away is told once."""
        was_away, self._is_away = self._is_away, False
        try:
            await asyncio.to_thread(self._site.storage.present)
        except OSError as error:
            self._is_away = True
            if not was_away:
                log_event(Event.FILES_AWAY, problem=str(error))
        return not self._is_away

    def _fail(self, cause: str, times: int = 1) -> None:
        """It could not do what it is for; once may be nothing."""
        self._failures, self._failed_at = self._failures + times, time.monotonic()
        if self._failures >= IN_VAIN:
            self._report(cause)

    def _be_well(self, is_well: bool = True) -> None:
        if is_well and self._failures:
            self._failures = 0
            self._report(None)

    def _report(self, problem: str | None) -> None:
        try:
            self._tell(problem)
        except OSError:  # it ends neither this lane nor the others
            log_event(Event.WORKER_FAILED, trace=True)

    async def _assess(self, lease: Lease, stop: asyncio.Event) -> None:
        """Assess one upload while the lease can be kept. Raises `LeaseLost`, `NotThere`."""
        pictures = PictureSink(partial(self._site.storage.pictures.put, lease.assessment.id))
        try:
            await self._assess_leased(lease, pictures, stop)
        except (LeaseLost, NotThere):
            if not await self._is_recorded(lease):
                await asyncio.to_thread(self._remove_all, lease.assessment.id, pictures)
            raise

    async def _is_recorded(self, lease: Lease) -> bool:
        """Whether the assessment still has a record; the sweep deletes it with its upload's."""
        try:
            await self._site.catalog.load_assessment(lease.assessment.id)
        except NotThere:
            return False
        return True

    def _remove_all(self, assessment_id: str, pictures: PictureSink) -> None:
        """Remove what an assessment without a record has left: no sweep would find it."""
        # First, as a step may still run: it ends at the next picture that it wants to store.
        pictures.close()
        self._workflows.forget(assessment_id)
        remove_scratch(self._site.scratch_of(assessment_id))
        self._site.storage.pictures.delete(assessment_id)

    async def _assess_leased(
        self, lease: Lease, pictures: PictureSink, stop: asyncio.Event
    ) -> None:
        assessment_id = lease.assessment.id
        try:
            upload = await self._site.catalog.load(lease.assessment.upload_id)
        except UploadNotFound:
            await self._give_up(lease, "its upload is not known any more")
            return
        file = self._site.storage.finished_file(upload.id, upload.suffix)
        try:
            is_there = await asyncio.to_thread(file.stat) is not None
        except OSError:
            if await self._is_present():
                raise
            await lease.release()
            return
        if upload.discarded_at is not None or not is_there:
            await self._give_up(lease, "its file is not there any more")
            return
        progress = await lease.during(self._have_done(lease, upload, file, pictures, stop))
        if progress is None:
            # No step may end after the next worker has begun.
            self._sandbox.close()
            await lease.release()
        elif progress.results is None:
            # Steps do not raise, so it was DBOS or its database: begin anew, as Rule 3 says.
            await asyncio.to_thread(self._workflows.forget, assessment_id)
            lease.log_event(Event.WORKFLOW_FAILED, problem=progress.failure)
            self._fail(f"its workflow failed: {progress.failure}", IN_VAIN)
            await sleep_or(stop, self._pace.lease)
        else:
            dated = replace(upload, created_at=self._site.date_of(upload.created_at))
            # A crash here leaves the results with DBOS; the report is made from them again.
            await lease.finish(render_report(dated, assessment_id, self._policy, progress.results))
            # A crash here leaves a workflow that nobody asks for any more.
            await asyncio.to_thread(self._workflows.forget, assessment_id)
            await asyncio.to_thread(remove_scratch, self._site.scratch_of(assessment_id))
            await asyncio.to_thread(self._remove_pictures_of_deleted, assessment_id, file)
            self._be_well()

    def _remove_pictures_of_deleted(self, assessment_id: str, file: StoredFile) -> None:
        """Remove the pictures if their file was deleted while it was assessed.

        `Sweeping.discard` deletes the file first and then the pictures. So either the file is
        missing here, or the pictures stored before now are deleted there.
        """
        with suppress(OSError):  # the storage is away: nothing is known about the file
            if file.stat() is None:
                self._site.storage.pictures.delete(assessment_id)

    async def _have_done(
        self,
        lease: Lease,
        upload: Upload,
        file: StoredFile,
        pictures: PictureSink,
        stop: asyncio.Event,
    ) -> Progress | None:
        """Run the workflow over the file; None if stopped."""
        assessment_id = lease.assessment.id
        scratch = self._site.scratch_of(assessment_id)
        path = file.local_path
        if path is None:  # steps open a file of this machine
            name = f"{upload.id}{upload.suffix}"
            path = await asyncio.to_thread(download_for_steps, file, scratch, name)
        work = Work(path, upload.length or 0, scratch, pictures.store)
        self._workflows.enter(assessment_id, work)
        try:
            return await self._follow(lease, stop)
        finally:
            self._workflows.leave(assessment_id)

    async def _give_up(self, lease: Lease, problem: str) -> None:
        await lease.give_up(problem)
        scratch = self._site.scratch_of(lease.assessment.id)
        await asyncio.to_thread(remove_scratch, scratch)
        await asyncio.to_thread(self._workflows.forget, lease.assessment.id)

    async def _follow(self, lease: Lease, stop: asyncio.Event) -> Progress | None:
        """Watch the workflow to its end, and tell each step as it happens; None if stopped."""
        shown = lease.assessment.steps
        while not stop.is_set():
            progress = await asyncio.to_thread(self._workflows.advance, lease.assessment.id)
            if progress.steps and progress.steps != shown:
                shown = progress.steps
                await lease.tell(shown)
            if progress.results is not None or progress.failure is not None:
                return progress
            await sleep_or(stop, self._pace.watch)
        return None
