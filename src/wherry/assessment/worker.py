"""The worker: leases queued assessments, runs their steps, and records their reports.

Rule 1: a worker writes to an assessment only while it holds the lease. A worker that has
lost the lease stops working on it.

Rule 2: leases replace recovery at a start. When a worker dies, its lease ends, and the next
worker leases the assessment like a queued one.

Rule 3: no file and no database error ends the loop. A failed assessment is tried again when
its lease has ended, and given up after `MAX_ATTEMPTS` leases. The worker records that it lives, so
that its failure is not taken for a death. If it cannot assess anything, it reports that, too
(`worker_status.py`).

Rule 4: what an assessment leaves outside the catalog is found by its workflow, which is deleted
last. A worker with nothing else to do removes what belongs to assessments that are over, or whose
record the sweep has deleted: no worker may have run then.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Never

from wherry.assessment.lease import Lease
from wherry.assessment.lifetime import (
    EXIT_TIMEOUT,
    end_in_time,
    end_now,
    end_within,
    hold_worker_lock,
    sleep_or_stop,
    stop_on_signals,
    stop_when_closed,
)
from wherry.assessment.partial_copy import PartialCopy
from wherry.assessment.picture_sink import PictureSink
from wherry.assessment.policy import POLICIES, Policy
from wherry.assessment.progress import Allowance, Progress, Work, allow
from wherry.assessment.report import render_report
from wherry.assessment.sandbox import Sandbox, remove_scratch
from wherry.assessment.steps import current_plan
from wherry.assessment.worker_status import ManualWorkerStatus, OnProblem, cause_of, send_problem
from wherry.catalog import Catalog
from wherry.core.assessment import LONGEST_LEASE, LeaseLost
from wherry.core.errors import NotThere, UploadError, UploadNotFound
from wherry.core.upload import Upload
from wherry.events import Event, log_event
from wherry.locks import Locks
from wherry.storage import Storage, StoredFile

if TYPE_CHECKING:
    from wherry.assessment.workflow import Workflows


#: After so many failures in a row the worker reports a problem; after so many lease times
#: without a failure it reports that it works again.
MAX_FAILURES, QUIET_LEASES = 3, 3
#: How often to look for what other workers have left (Rule 4), in seconds.
TIDY_INTERVAL = 60.0


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds: how long a lease lasts, and how often to poll for work and for progress.

    Raises `ValueError` for a lease that would not count (`LONGEST_LEASE`).
    """

    lease: float = 10.0
    poll_interval: float = 0.5
    progress_interval: float = 0.2

    def __post_init__(self) -> None:
        if self.lease > LONGEST_LEASE:
            raise ValueError(f"a lease lasts {LONGEST_LEASE:.0f} seconds at most")


@dataclass(frozen=True, slots=True)
class Assessing:
    """The options of a worker: the steps, the policy, and how many assessments run at once.

    `concurrency`: in this worker; `most`: in all workers together, None: any number.
    """

    plan: Sequence[str] = field(default_factory=current_plan)
    policy: Policy = POLICIES["web"]
    concurrency: int = 1
    most: int | None = None
    timing: Timing = Timing()
    allowance: Allowance = allow


@dataclass(frozen=True, slots=True)
class Site:
    """What a worker needs: the catalog, the storage, folders and locks.

    `date_of(moment)` gives the Unix seconds of a moment of the deadline clock. `lease_clock` is
    the same for all workers.
    `data` is the folder for what steps draw until storage has it and, unless
    `database_url` says otherwise, for the workflows' own database.
    """

    catalog: Catalog
    storage: Storage
    data: Path
    locks: Locks
    database_url: str | None = None
    date_of: Callable[[float], float] = lambda moment: moment
    lease_clock: Callable[[], float] = time.monotonic

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

    With `until_stdin_closes`, one process for `site.locks` works and the others wait until it
    ends. Call it on the main thread. Raises the databases' errors at the start.
    """
    try:
        asyncio.run(_work(site, until_stdin_closes, assessing))
    except BaseException:
        end_within(EXIT_TIMEOUT)
        raise
    end_now()


async def _work(site: Site, until_stdin_closes: bool, assessing: Assessing) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    ending = asyncio.create_task(end_in_time(stop))
    try:
        if until_stdin_closes:
            stop_when_closed(0, stop)
            async with hold_worker_lock(site.locks, stop) as has_lock:
                if has_lock:
                    await run_worker(site, stop, assessing, send_problem)
        else:
            await run_worker(site, stop, assessing, ManualWorkerStatus(site.data))
    finally:
        await site.catalog.close()
        ending.cancel()


async def run_worker(
    site: Site,
    stop: asyncio.Event,
    assessing: Assessing = Assessing(),
    on_problem: OnProblem = lambda _: None,
) -> None:
    """Process assessments until `stop` is set. One in a process: DBOS is.

    `on_problem` is called with None when the worker begins to work, and with the cause when it
    cannot work.
    """
    # Import late: a worker that waits for the lock needs neither DBOS nor its memory.
    from wherry.assessment.workflow import Workflows  # noqa: PLC0415

    sandbox = Sandbox()
    workflows = await asyncio.to_thread(
        Workflows, site.workflows_url, sandbox, assessing.plan, assessing.allowance
    )
    log_event(Event.WORKER_STARTED, executor=workflows.executor, pid=os.getpid())
    worker = Worker(site, assessing, workflows, sandbox, on_problem)
    on_problem(None)
    try:
        async with asyncio.TaskGroup() as lanes:
            for _ in range(assessing.concurrency):
                lanes.create_task(worker.lane(stop))
    finally:
        sandbox.close()
        await asyncio.to_thread(workflows.close)
    log_event(Event.WORKER_STOPPED, executor=workflows.executor)


class Worker:
    """Runs leased assessments one after the other; each lane runs one at a time."""

    def __init__(
        self,
        site: Site,
        assessing: Assessing,
        workflows: Workflows,
        sandbox: Sandbox,
        on_problem: OnProblem = lambda _: None,
    ) -> None:
        self._site, self._workflows, self._sandbox = site, workflows, sandbox
        self._policy, self._timing, self._on_problem = (
            assessing.policy,
            assessing.timing,
            on_problem,
        )
        self._most = assessing.most
        self._failures, self._failed_at = 0, 0.0
        self._is_away = False
        # Those that were not brought to an end here.
        self._failed: list[Lease] = []
        self._tidy_at = -inf

    async def lane(self, stop: asyncio.Event) -> None:
        """Lease and assess until `stop` is set."""
        while not stop.is_set():
            try:
                await self._show_alive()
                # Take no lease while the storage is away: each lease counts as an attempt.
                is_present = await self._is_present()
                lease = await self._take_lease() if is_present else None
                if lease is not None:
                    if lease.assessment.is_over:
                        await self._forget(lease.assessment.id)
                    else:
                        await self._assess(lease, stop)
                    continue
                self._clear_failures(
                    time.monotonic() - self._failed_at > QUIET_LEASES * self._timing.lease
                )
                if is_present and time.monotonic() >= self._tidy_at:
                    self._tidy_at = time.monotonic() + TIDY_INTERVAL
                    await self._tidy_all()
            except (LeaseLost, NotThere):
                log_event(Event.LEASE_LOST)
            except Exception as error:  # Rule 3
                is_known = isinstance(error, UploadError)
                log_event(Event.WORKER_FAILED, problem=str(error), trace=not is_known)
                self._count_failure(cause_of(error))
            await sleep_or_stop(stop, self._timing.poll_interval)
        with suppress(Exception):
            await self._show_alive()

    async def _show_alive(self) -> None:
        """Record that this worker has outlived what failed here, before anything is leased."""
        while self._failed:
            lease = self._failed[-1]
            with suppress(LeaseLost, NotThere):  # another worker has it by now
                await lease.survive()
            with suppress(ValueError):  # another lane was faster
                self._failed.remove(lease)

    async def _take_lease(self) -> Lease | None:
        site = self._site
        return await Lease.take(site.catalog, self._timing.lease, site.lease_clock, self._most)

    async def _is_present(self) -> bool:
        """Whether the storage is there. That it is away is logged once."""
        was_away, self._is_away = self._is_away, False
        try:
            await asyncio.to_thread(self._site.storage.present)
        except OSError as error:
            self._is_away = True
            if not was_away:
                log_event(Event.FILES_AWAY, problem=str(error))
        return not self._is_away

    def _count_failure(self, cause: str, times: int = 1) -> None:
        """Count a failure, and report the problem once there are `MAX_FAILURES` in a row."""
        self._failures, self._failed_at = self._failures + times, time.monotonic()
        if self._failures >= MAX_FAILURES:
            self._send_problem(cause)

    def _clear_failures(self, is_over: bool = True) -> None:
        if is_over and self._failures:
            self._failures = 0
            self._send_problem(None)

    def _send_problem(self, problem: str | None) -> None:
        try:
            self._on_problem(problem)
        except OSError:  # it ends neither this lane nor the others
            log_event(Event.WORKER_FAILED, trace=True)

    async def _assess(self, lease: Lease, stop: asyncio.Event) -> None:
        """Assess one upload while the lease can be kept. Raises `LeaseLost`, `NotThere`."""
        pictures = PictureSink(partial(self._site.storage.pictures.put, lease.assessment.id))
        try:
            await self._assess_leased(lease, pictures, stop)
        except (LeaseLost, NotThere):
            self._failed.append(lease)
            # A step may still run: it ends at the next picture that it wants to store.
            await asyncio.to_thread(pictures.close)
            await self._tidy(lease.assessment.id)
            raise
        except Exception:
            self._failed.append(lease)
            raise

    async def _tidy_all(self) -> None:
        """Tidy up after workers that could not do it themselves (Rule 4)."""
        for assessment_id in await asyncio.to_thread(self._workflows.known):
            await self._tidy(assessment_id)

    async def _tidy(self, assessment_id: str) -> None:
        """Remove what an assessment has left that is over, or has no record."""
        try:
            assessment = await self._site.catalog.load_assessment(assessment_id)
        except NotThere:
            await asyncio.to_thread(self._site.storage.pictures.delete, assessment_id)
        else:
            if not assessment.is_over:
                return
        await self._forget(assessment_id)

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
            progress = await self._measure(lease, upload, file, pictures, stop)
        except OSError as error:
            if not await self._is_present():
                await lease.release()
                return
            if not isinstance(error, FileNotFoundError):
                raise
            await self._give_up(lease, "its file is not there any more")
            return
        if progress is None:
            # Kill the step, so that it does not go on beside that of the next worker.
            self._sandbox.close()
            await lease.release()
        elif progress.results is None:
            # Steps do not raise, so DBOS or its database failed: start again (Rule 3).
            await asyncio.to_thread(self._workflows.forget, assessment_id)
            lease.log_event(Event.WORKFLOW_FAILED, problem=progress.failure)
            self._count_failure(f"its workflow failed: {progress.failure}", MAX_FAILURES)
            await lease.survive()
            await sleep_or_stop(stop, self._timing.lease)
        else:
            dated = replace(upload, created_at=self._site.date_of(upload.created_at))
            # A crash here leaves the results with DBOS; the report is made from them again.
            await lease.finish(render_report(dated, assessment_id, self._policy, progress.results))
            await self._forget(assessment_id)
            await asyncio.to_thread(self._remove_pictures_of_deleted, assessment_id, file)
            self._clear_failures()

    def _remove_pictures_of_deleted(self, assessment_id: str, file: StoredFile) -> None:
        """Remove the pictures if their file was deleted while it was assessed.

        `Sweeping.discard` deletes the file first and then the pictures. So either the file is
        missing here, or the pictures stored before now are deleted there.
        """
        with suppress(OSError):  # the storage is away: nothing is known about the file
            if file.stat() is None:
                self._site.storage.pictures.delete(assessment_id)

    async def _measure(
        self,
        lease: Lease,
        upload: Upload,
        file: StoredFile,
        pictures: PictureSink,
        stop: asyncio.Event,
    ) -> Progress | None:
        """Run the workflow over the file; None if stopped.

        Raises `OSError` if the file cannot be read: `FileNotFoundError` if it is not there.
        """
        found = await asyncio.to_thread(file.stat)
        if upload.discarded_at is not None or found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), upload.id)
        assessment_id = lease.assessment.id
        scratch = self._site.scratch_of(assessment_id)
        given: Path | PartialCopy | None = file.local_path
        if given is None:
            name = f"{upload.id}{upload.suffix}"
            given = await asyncio.to_thread(PartialCopy.make, file, found.size, scratch, name)
        copy = given if isinstance(given, PartialCopy) else None
        deaths = lease.assessment.deaths
        work = Work(given, upload.length or 0, scratch, pictures.store, deaths)
        self._workflows.enter(assessment_id, work)
        try:
            return await lease.during(self._wait_for_steps(lease, copy, stop))
        finally:
            self._workflows.leave(assessment_id)
            if copy is not None:
                copy.close()

    async def _give_up(self, lease: Lease, problem: str) -> None:
        await lease.give_up(problem)
        await self._forget(lease.assessment.id)

    async def _forget(self, assessment_id: str) -> None:
        """Remove what the steps of an assessment have left, besides pictures."""
        await asyncio.to_thread(remove_scratch, self._site.scratch_of(assessment_id))
        # Last: after a crash, `_tidy_all` finds the rest by the workflow.
        await asyncio.to_thread(self._workflows.forget, assessment_id)

    async def _wait_for_steps(
        self, lease: Lease, copy: PartialCopy | None, stop: asyncio.Event
    ) -> Progress | None:
        """Wait until the workflow ends, and record each step as it happens; None if stopped.

        Raises the `OSError` for which the copy could not get bytes.
        """
        shown = lease.assessment.steps
        while not stop.is_set():
            progress = await asyncio.to_thread(self._workflows.advance, lease.assessment.id)
            if progress.steps and progress.steps != shown:
                shown = progress.steps
                await lease.record_steps(shown)
            if progress.results is not None or progress.failure is not None:
                return progress
            if copy is not None and copy.failure is not None:
                raise copy.failure
            await sleep_or_stop(stop, self._timing.progress_interval)
        return None
