"""Only the worker that holds the lease writes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from wherry.assessment.lease import Lease
from wherry.assessment.partial_copy import SCRATCH, Interrupted, PartialCopy
from wherry.assessment.picture_sink import PictureSink
from wherry.assessment.progress import Progress, StepResult, Work
from wherry.assessment.sandbox import Sandbox
from wherry.assessment.worker import Assessing, Site, Timing, Worker
from wherry.core.assessment import MAX_TRIES, Assessment, AssessmentState, LeaseLost, Step
from wherry.core.errors import StorageFailed
from wherry.core.ranges import Range
from wherry.core.upload import State, Upload
from wherry.storage.local import LocalStorage
from wherry.testing.memory.catalog import MemoryCatalog
from wherry.testing.memory.locks import MemoryLocks
from wherry.testing.memory.storage import MemoryStorage

if TYPE_CHECKING:
    from wherry.assessment.workflow import Workflows

pytestmark = pytest.mark.anyio

UPLOAD = "u" * 32


class SteadyClock:
    """Leases end when a worker sleeps for so long, and not when the machine is slow."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep_or_stop(self, stop: asyncio.Event, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0.001)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SteadyClock:
    clock = SteadyClock()
    monkeypatch.setattr("wherry.assessment.worker.sleep_or_stop", clock.sleep_or_stop)
    return clock


@pytest.fixture
async def catalog() -> MemoryCatalog:
    """A catalog with one queued assessment."""
    catalog, now = MemoryCatalog(), time.time()
    await catalog.create(Upload(UPLOAD, "ada", "v.mp4", 1, 1))
    await catalog.update(
        UPLOAD,
        lambda u: replace(u, state=State.COMPLETE, assessment_id="a"),
        Assessment("a", UPLOAD, "ada", now),
    )
    return catalog


async def leased(catalog: MemoryCatalog, seconds: float = 60) -> Lease:
    lease = await Lease.take(catalog, seconds)
    assert lease is not None
    return lease


async def taken_over(catalog: MemoryCatalog) -> Lease:
    """The lease of a worker whose time was up, and whose work another has by now."""
    lost = await leased(catalog, seconds=0)
    await leased(catalog)
    return lost


async def test_what_is_leased_cannot_be_leased_again(catalog: MemoryCatalog) -> None:
    await leased(catalog)
    assert await Lease.take(catalog, 60) is None


async def test_what_a_dead_worker_left_can_be_leased(catalog: MemoryCatalog) -> None:
    await leased(catalog, seconds=0)
    assert (await leased(catalog)).assessment.attempts == 2


async def test_a_released_assessment_can_be_leased_at_once_and_has_cost_no_attempt(
    catalog: MemoryCatalog,
) -> None:
    await (await leased(catalog)).release()
    assert (await leased(catalog)).assessment.attempts == 1


async def test_a_lost_lease_writes_nothing(catalog: MemoryCatalog) -> None:
    lost = await taken_over(catalog)
    before = await catalog.load_assessment("a")
    for write in (
        lost.record_steps((Step("probe"),)),
        lost.finish({"verdict": "pass"}),
        lost.give_up("for no reason"),
        lost.release(),
    ):
        with pytest.raises(LeaseLost):
            await write
    assert await catalog.load_assessment("a") == before


async def test_work_is_cancelled_when_the_lease_is_lost(catalog: MemoryCatalog) -> None:
    lease = await leased(catalog, seconds=0.1)
    cancelled = asyncio.Event()

    async def work() -> None:
        await catalog.update_assessment("a", lambda a: replace(a, token="another's"))
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(LeaseLost):
        await lease.during(work())
    assert cancelled.is_set()


async def test_a_lease_is_renewed_while_work_is_done(catalog: MemoryCatalog) -> None:
    lease = await leased(catalog, seconds=1.0)

    async def work() -> str:
        while (await catalog.load_assessment("a")).leased_until <= lease.assessment.leased_until:
            await asyncio.sleep(0.01)
        return "renewed"

    assert await lease.during(work()) == "renewed"


async def test_a_catalog_that_fails_for_a_moment_does_not_cost_the_lease(
    catalog: MemoryCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = await leased(catalog, seconds=1.0)
    real, calls = catalog.update_assessment, 0

    async def failing(*args: object) -> Assessment:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("disk")
        return await real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(catalog, "update_assessment", failing)

    async def work() -> str:
        while calls < 2:
            await asyncio.sleep(0.01)
        return "done"

    assert await lease.during(work()) == "done"


async def test_an_assessment_that_ends_every_worker_is_given_up(catalog: MemoryCatalog) -> None:
    for _ in range(MAX_TRIES + 1):
        await leased(catalog, seconds=0)
    assert (await leased(catalog)).assessment.is_over
    failed = await catalog.load_assessment("a")
    assert failed.state is AssessmentState.FAILED
    assert failed.problem
    assert await Lease.take(catalog, 60) is None


async def test_of_an_assessment_that_ended_every_worker_nothing_is_left(
    catalog: MemoryCatalog, tmp_path: Path
) -> None:
    for _ in range(MAX_TRIES + 1):
        await leased(catalog, seconds=0)
    site = Site(catalog, storage_with_the_file(), tmp_path, MemoryLocks())
    (left := site.scratch_of("a") / f"{SCRATCH}x").mkdir(parents=True)
    (left / "copy.mp4").write_bytes(b"?")
    workflows, stop = Failing(), asyncio.Event()
    workflows.known = True
    assessing = Assessing(timing=Timing(poll_interval=0.01))
    worker = Worker(site, assessing, cast("Workflows", workflows), Sandbox())
    lane = asyncio.create_task(worker.lane(stop))
    while workflows.known:
        await asyncio.sleep(0.01)
    stop.set()
    await lane
    assert not left.parent.exists()
    assert workflows.begun == []


def storage_with_the_file() -> MemoryStorage:
    storage = MemoryStorage()
    storage.reserve(UPLOAD, 1)
    with storage.open(UPLOAD, Range(0, 1)) as writer:
        writer.write(0, memoryview(b"?"))
    storage.finish(UPLOAD, ".mp4", 1)
    return storage


class Failing:
    """Workflows of which the first fail, as when their database is full for a moment."""

    def __init__(self, failures: int = 1, error: Exception | None = None) -> None:
        self.failures, self.error = failures, error
        self.begun: list[str] = []
        self.known = False
        self.seen: list[bytes] = []

    def enter(self, assessment_id: str, work: Work) -> None:
        """As a step does: read the file, draw a picture."""
        path = work.file
        if isinstance(path, PartialCopy):
            path.fetch_all()
            path = path.path
        self.seen.append(path.read_bytes())
        work.keep("poster.jpg", b"picture")

    def leave(self, assessment_id: str) -> None: ...

    def advance(self, assessment_id: str) -> Progress:
        if not self.known:
            self.known = True
            self.begun.append(assessment_id)
        if len(self.begun) <= self.failures:
            if self.error is not None:
                self.known = False
                raise self.error
            return Progress((), failure="OperationalError: disk full")
        return Progress((), results=(StepResult("probe", "done", 0.1, {"streams": []}),))

    def forget(self, assessment_id: str) -> None:
        self.known = False


async def test_an_assessment_whose_workflow_failed_is_begun_anew(
    catalog: MemoryCatalog, tmp_path: Path, clock: SteadyClock
) -> None:
    storage = storage_with_the_file()
    site = Site(catalog, storage, tmp_path, MemoryLocks(), lease_clock=clock)
    workflows, stop = Failing(), asyncio.Event()
    assessing = Assessing(timing=Timing(poll_interval=0.01, progress_interval=0.01))
    worker = Worker(site, assessing, cast("Workflows", workflows), Sandbox())
    lane = asyncio.create_task(worker.lane(stop))
    while (await catalog.load_assessment("a")).state is not AssessmentState.DONE:
        await asyncio.sleep(0.01)
    stop.set()
    await lane
    assert workflows.begun == ["a", "a"]
    assert (await catalog.load_assessment("a")).attempts == 2
    # The storage has no file of this machine: steps were given a copy, which is gone.
    assert workflows.seen == [b"?", b"?"]
    assert list((tmp_path / "assessments").iterdir()) == []
    assert storage.pictures.get("a", "poster.jpg").open().read() == b"picture"


@pytest.mark.parametrize("error", [None, RuntimeError("a fault of ours"), OSError("disk")])
async def test_what_fails_in_a_worker_that_lives_is_no_death(
    catalog: MemoryCatalog, tmp_path: Path, error: Exception | None
) -> None:
    failures = MAX_TRIES + 2
    site = Site(catalog, storage_with_the_file(), tmp_path, MemoryLocks())
    workflows, stop = Failing(failures, error), asyncio.Event()
    assessing = Assessing(timing=Timing(lease=0.1, poll_interval=0.01, progress_interval=0.01))
    worker = Worker(site, assessing, cast("Workflows", workflows), Sandbox())
    lane = asyncio.create_task(worker.lane(stop))
    while not (ended := await catalog.load_assessment("a")).is_over:
        await asyncio.sleep(0.01)
    stop.set()
    await lane
    assert ended.state is AssessmentState.DONE
    assert ended.attempts > failures


class Lasting(Failing):
    """Workflows whose only step runs until it is let go."""

    is_let_go = False

    def advance(self, assessment_id: str) -> Progress:
        if not self.is_let_go:
            return Progress((Step("probe", "running"),))
        return super().advance(assessment_id)


async def test_a_database_that_is_away_for_longer_than_a_lease_is_no_death(
    catalog: MemoryCatalog,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_away = False

    def going_away(name: str) -> None:
        real = getattr(catalog, name)

        async def act(*args: object) -> object:
            if is_away:
                raise StorageFailed("the database does not answer")
            return await real(*args)

        monkeypatch.setattr(catalog, name, act)

    for name in ("load", "load_assessment", "lease_assessment", "update_assessment"):
        going_away(name)
    site = Site(catalog, storage_with_the_file(), tmp_path, MemoryLocks())
    workflows, stop = Lasting(failures=0), asyncio.Event()
    assessing = Assessing(timing=Timing(lease=0.2, poll_interval=0.01, progress_interval=0.01))
    worker = Worker(site, assessing, cast("Workflows", workflows), Sandbox())
    lane = asyncio.create_task(worker.lane(stop))
    for outage in range(1, MAX_TRIES + 1):
        while not (await catalog.load_assessment("a")).steps:
            await asyncio.sleep(0.01)
        is_away, before = True, caplog.text.count("worker-failed")
        while caplog.text.count("worker-failed") < before + 5:  # the lease is lost by then
            await asyncio.sleep(0.01)
        is_away = False
        while (await catalog.load_assessment("a")).attempts <= outage:
            await asyncio.sleep(0.01)
    assert (await catalog.load_assessment("a")).tries <= 1
    workflows.is_let_go = True
    while not (ended := await catalog.load_assessment("a")).is_over:
        await asyncio.sleep(0.01)
    stop.set()
    await lane
    assert (ended.state, ended.tries) == (AssessmentState.DONE, 1)


async def test_nothing_that_fails_around_an_assessment_ends_the_lane(
    catalog: MemoryCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the catalog, again and again, nor those who are told of it."""
    failures, told = [OSError("disk"), RuntimeError("a fault of ours")] * 4, list[object]()
    real = catalog.lease_assessment

    async def lease_assessment(*args: object) -> Assessment | None:
        if failures:
            raise failures.pop()
        return await real(*args)  # type: ignore[arg-type]

    def tell(problem: str | None) -> None:
        told.append(problem)
        raise OSError("no ears")

    monkeypatch.setattr(catalog, "lease_assessment", lease_assessment)
    site = Site(catalog, storage_with_the_file(), tmp_path, MemoryLocks())
    workflows, stop = Failing(), asyncio.Event()
    workflows.begun.append("before")  # so that the first one succeeds
    assessing = Assessing(timing=Timing(lease=0.2, poll_interval=0.01, progress_interval=0.01))
    worker = Worker(site, assessing, cast("Workflows", workflows), Sandbox(), tell)
    lane = asyncio.create_task(worker.lane(stop))
    while (await catalog.load_assessment("a")).state is not AssessmentState.DONE:
        assert not lane.done()
        await asyncio.sleep(0.01)
    stop.set()
    await lane
    assert "disk" in told
    assert told[-1] is None


def test_no_picture_is_stored_once_its_assessment_is_forgotten() -> None:
    stored: list[str] = []
    pictures = PictureSink(lambda name, _: stored.append(name))
    pictures.store("poster.jpg", b"")
    pictures.close()
    with pytest.raises(Interrupted):
        pictures.store("contact.jpg", b"")
    assert stored == ["poster.jpg"]


async def test_a_file_is_not_missing_while_the_storage_is_away(
    catalog: MemoryCatalog,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No attempt is counted, nothing is given up, and it is told once."""
    storage = LocalStorage(tmp_path / "data")
    storage.check()
    storage.reserve(UPLOAD, 1)
    storage.finish(UPLOAD, ".mp4", 1)
    looks, real = 0, storage.present

    def present() -> None:
        nonlocal looks
        looks += 1
        real()

    monkeypatch.setattr(storage, "present", present)
    storage.root.rename(tmp_path / "away")
    site = Site(catalog, storage, tmp_path, MemoryLocks())
    workflows, stop = Failing(), asyncio.Event()
    workflows.begun.append("before")  # so that the first one succeeds
    assessing = Assessing(timing=Timing(poll_interval=0.01, progress_interval=0.01))
    worker = Worker(site, assessing, cast("Workflows", workflows), Sandbox())
    lane = asyncio.create_task(worker.lane(stop))
    while looks < 20:
        await asyncio.sleep(0.01)
    waiting = await catalog.load_assessment("a")
    assert (waiting.state, waiting.attempts) == (AssessmentState.QUEUED, 0)
    assert caplog.text.count("storage-failed") == 1
    (tmp_path / "away").rename(storage.root)
    while (await catalog.load_assessment("a")).state is not AssessmentState.DONE:
        await asyncio.sleep(0.01)
    stop.set()
    await lane
    assert (await catalog.load_assessment("a")).attempts == 1
