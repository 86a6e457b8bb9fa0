"""Monitoring: the metrics of a scrape, an operator's overview, and whether the server is ready.

Rule 1: readiness is checked at most once in `MAX_AGE` seconds, however many requests ask. They
need no key, so their number must cost nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from wherry.catalog.counts import Counts
from wherry.core.admission import Space
from wherry.core.assessment import AssessmentState
from wherry.core.errors import StorageFailed, UploadError
from wherry.core.upload import State
from wherry.core.worker import Worker
from wherry.engine.admitting import Admitting
from wherry.engine.context import Context
from wherry.events import Event
from wherry.metrics import Reading

#: How long the result of the last check is used, in seconds.
MAX_AGE = 1.0


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """Bytes: the volume's total and free, reserved by unfinished uploads, used by all files.

    `total` and `free` are None where there is no volume to fill: in an object store. `open` and
    `waiting` count uploads.
    """

    total: int | None
    free: int | None
    reserved: int
    used: int
    open: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Overview:
    """What an operator looks at first. Times are by the deadline clock.

    `uploads`: unfinished ones, by state. `waiting_since`: since when the first upload in the queue
    waits; None: the queue is empty. `worker`: None where nothing is assessed. `problems`: what
    keeps uploads from being taken or assessed, a sentence each.
    """

    storage: StorageFacts
    uploads: Mapping[State, int]
    waiting_since: float | None
    assessments: Mapping[AssessmentState, int]
    worker: Worker | None
    problems: tuple[str, ...]


class Watching:
    def __init__(self, context: Context, admitting: Admitting) -> None:
        self._context = context
        self._admitting = admitting
        self._checking = asyncio.Lock()
        self._checked_at = float("-inf")
        self._found: tuple[str, ...] = ()
        self._storage_failed = False

    async def metrics(self) -> bytes:
        """A scrape. Raises `StorageFailed`, `DiskFull`."""
        context, now = self._context, self._context.clock()
        reading = Reading(
            at=now,
            counts=await self._counts(),
            space=await context.on_thread(context.storage.space),
            min_free=context.settings.min_free,
            max_open=context.settings.max_open,
            worker=await self.worker(),
            leased=await self._leased(),
            paths=tuple(p.summary(now) for p in (await context.catalog.paths()).values()),
        )
        return context.metrics.render(reading)

    async def storage(self) -> StorageFacts:
        """Raises `StorageFailed`."""
        return await self._storage(await self._counts())

    async def overview(self) -> Overview:
        """Raises `StorageFailed`."""
        counts = await self._counts()
        return Overview(
            storage=await self._storage(counts),
            uploads=counts.uploads,
            waiting_since=counts.waiting_since,
            assessments=counts.assessments,
            worker=await self.worker(),
            problems=await self.unready(),
        )

    async def _counts(self) -> Counts:
        now = self._context.clock()
        return await self._context.catalog.counts(now, self._context.limits.latest_slot_end(now))

    async def _storage(self, counts: Counts) -> StorageFacts:
        space: Space | None = await self._context.on_thread(self._context.storage.space)
        used = await self._context.catalog.used()
        total, free = (None, None) if space is None else (space.total, space.free)
        return StorageFacts(total, free, counts.reserved, used, counts.open, counts.waiting)

    async def _leased(self) -> int:
        """How many assessments workers have now, wherever these run."""
        context = self._context
        if context.lease_clock is None or not context.settings.assessment:
            return 0
        return await context.catalog.leased_assessments(
            await context.on_thread(context.lease_clock)
        )

    async def unready(self) -> tuple[str, ...]:
        """What keeps uploads from being taken or assessed now, a sentence each."""
        if self._context.is_stopping():
            return ("The server is stopping.",)
        async with self._checking:
            now = asyncio.get_running_loop().time()
            if now - self._checked_at >= MAX_AGE:
                storage = (await self._catalog(), await self._disk())
                self._note_storage(any(storage))
                found = (*storage, await self._worker())
                self._found = tuple(sentence for sentence in found if sentence)
                self._checked_at = now
            return self._found

    def _note_storage(self, failed: bool) -> None:
        """Its failures are logged where they happen; its return is known here alone."""
        if self._storage_failed and not failed:
            self._context.log_event(Event.STORAGE_RECOVERED)
        self._storage_failed = failed

    async def worker(self) -> Worker | None:
        """How the worker is; None where nothing is assessed."""
        ask = self._context.worker
        return None if ask is None else await self._context.on_thread(ask)

    async def _worker(self) -> str | None:
        worker = await self.worker()
        if worker is None or worker.problem is None:
            return None
        return f"Nothing is assessed. {worker.problem}"

    async def _catalog(self) -> str | None:
        try:
            await self._context.catalog.counts(self._context.clock())
        except UploadError as error:
            return f"The catalog does not answer: {_cause(error)}"
        return None

    async def _disk(self) -> str | None:
        """The folder is tried out as at the start: a file is made, and some blocks reserved."""
        context = self._context
        try:
            await context.on_thread(context.storage.check)
        except UploadError as error:
            return f"The storage cannot be written: {_cause(error)}"
        if (trouble := self._admitting.trouble) is not None:
            return f"The storage cannot reserve space for the next upload: {trouble}"
        # A disk without space for new uploads is no reason: open ones have theirs, others wait.
        return None


def _cause(error: UploadError) -> str:
    """What stands behind a colon: `StorageFailed` would begin with the same words once more."""
    return f"{error.problem}." if isinstance(error, StorageFailed) else str(error)
