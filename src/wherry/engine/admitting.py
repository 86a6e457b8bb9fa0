"""The queue: an upload is admitted as soon as there is room for it.

Rule 1: no upload is admitted past one that waits. A new one that the queue would choose at once
does not enter it (admitting_at_once.py).

Rule 2: one process at a time admits uploads that wait. No other process touches their folders, or
promises the space that it finds free to another one that waits.

Rule 3: space before records. The space on disk is reserved before the record says that
the upload has it.

Rule 4: an upload waits for room only. If the disk gives another error than "full", the
client gets the error, and an upload that the volume can never hold leaves the queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

import anyio

from wherry.core.admission import Entry, Queue, free_for_uploads, poll_after
from wherry.core.errors import DiskFull, NeverFits, Queued, UploadError
from wherry.core.upload import State, Upload
from wherry.engine.context import Context
from wherry.engine.shared_run import SharedRun
from wherry.events import Event
from wherry.locks import take_into

#: The lock of the process that admits. Its file is older than the word queue.
LOCK = "line"
#: How long a process waits while another one admits, in seconds. It tries again a second later.
TIMEOUT = 5.0
#: In a queue of more uploads than `LONG_QUEUE`, positions may be `MAX_AGE` seconds old.
LONG_QUEUE, MAX_AGE = 100, 1.0


class _Idle(Exception):
    """The upload's slot was given to another one while no bytes came."""


@dataclass(frozen=True, slots=True)
class _Positions:
    at: float
    by_upload: dict[str, int]


class Admitting:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._one_at_a_time = asyncio.Lock()
        self._entering: set[str] = set()
        self._advanced = SharedRun(self._advance_alone)
        self._count = SharedRun(self._count_positions)
        self._counted: _Positions | None = None
        #: By upload: why its space could not be reserved, other than for a full disk.
        self._trouble: dict[str, UploadError] = {}

    @property
    def trouble(self) -> str | None:
        """Why the next uploads cannot be admitted, if it is not for lack of room."""
        return next((str(e) for e in self._trouble.values() if not isinstance(e, NeverFits)), None)

    def check_reservation(self, upload_id: str) -> None:
        """Raises the error of its reservation, where waiting alone does not help."""
        if (error := self._trouble.get(upload_id)) is not None:
            raise error

    async def enter(self, upload_id: str) -> Upload:
        """The upload, admitted if it is next and there is room."""
        self._entering.add(upload_id)
        try:
            changed = await self._advanced()
        finally:
            self._entering.discard(upload_id)
        if upload_id in changed:
            return changed[upload_id]
        # It waits, or an earlier run has admitted it, or another process is stuck while it admits.
        return await self._context.catalog.load(upload_id)

    async def with_slot(
        self, upload_id: str, now: float, change: Callable[[Upload], Upload]
    ) -> Upload:
        """Apply `change` to an upload that has a slot; one without asks for a slot again.

        Raises `Queued` if there is no room, and what `change` raises.
        """
        context, latest = self._context, self._context.settings.limits.latest_slot_end(now)

        def change_with_slot(upload: Upload) -> Upload:
            # The change first, for its refusals: an upload that takes no byte asks for no slot.
            after = change(upload)
            if not upload.is_open(now, latest):
                raise _Idle
            return after

        try:
            return await context.catalog.update(upload_id, change_with_slot)
        except _Idle:
            # Its slot ran out while nothing came, and others may wait for one. It enters the
            # queue like them, and is admitted at once if there is room. These are three
            # transactions. If the upload ends between them, the next one raises what the
            # client should hear. If this request ends between them, the upload stays in the
            # queue: it is admitted in its order, and its slot runs out again.
            await context.catalog.update(upload_id, lambda u: u.enter_queue(now))
            if (await self.enter(upload_id)).queued_at is not None:
                raise Queued from None
            return await context.catalog.update(upload_id, change)

    async def advance(self) -> None:
        """Admit what there is room for; uploads that were admitted and sent nothing make room."""
        await self._advanced()

    async def _advance_alone(self) -> dict[str, Upload]:
        async with self.alone() as is_alone:
            return await self._advance() if is_alone else {}

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Whether no other process or task admits meanwhile; False if one is stuck at it."""
        context = self._context
        give_up = anyio.current_time() + TIMEOUT
        async with self._one_at_a_time:
            with ExitStack() as held:
                while not (
                    is_alone := await context.on_thread(take_into, held, context.locks, LOCK)
                ):
                    if anyio.current_time() > give_up:
                        break
                    await anyio.sleep(0.005)
                yield is_alone

    async def _advance(self) -> dict[str, Upload]:
        """Returns the uploads that were admitted."""
        context, now = self._context, self._context.clock()
        limits = context.limits
        queue = await context.catalog.queue(now, limits.latest_slot_end(now))
        if not queue.entries:
            self._trouble.clear()
            return {}
        # While the storage is away, no client could send anything, so none is too late.
        await context.on_thread(context.storage.present)
        for upload_id in queue.unused:
            with context.isolated(Event.BACKGROUND_FAILED, upload_id=upload_id):
                await self._forfeit(upload_id, now)
        since = {entry.upload_id: entry.since for entry in await self._reserve(queue, now)}
        # A crash here: space is reserved for uploads that wait. `_left_behind` finds it.

        def choose(queue: Queue) -> list[str]:
            admissible = queue.restricted_to(since.keys()).admissible(limits, now=now)
            return [entry.upload_id for entry in admissible]

        if not since:
            return {}
        until, latest = now + limits.turn, limits.latest_slot_end(now)
        admitted = await context.catalog.advance(now, choose, lambda u: u.admit(now, until), latest)
        for upload in admitted:
            waited = max(now - since[upload.id], 0.0)
            if upload.id not in self._entering or waited > 1:  # else it has only just asked
                context.log_event(Event.LET_IN, upload, waited=waited)
        changed = {upload.id: upload for upload in admitted}
        for upload_id in since.keys() - changed.keys():  # cancelled meanwhile
            with context.isolated(Event.BACKGROUND_FAILED, upload_id=upload_id):
                await self._delete(upload_id)
        return changed

    async def _reserve(self, queue: Queue, now: float) -> tuple[Entry, ...]:
        """The uploads that can be admitted, with their space reserved."""
        limits = self._context.limits
        admissible = queue.admissible(limits, await self._free(), now)
        lack_space = set(queue.admissible(limits, now=now)) - set(admissible)
        if lack_space and await self._left_behind(queue):
            admissible = queue.admissible(limits, await self._free(), now)
        # Forget the errors of others: they have left the queue, or wait for room only.
        tried = {entry.upload_id for entry in admissible}
        self._trouble = {id_: error for id_, error in self._trouble.items() if id_ in tried}
        reserved: dict[str, Entry] = {}
        while todo := [entry for entry in admissible if entry.upload_id not in reserved]:
            entry = todo[0]
            error = await self._reserve_one(entry)
            if error is None:
                reserved[entry.upload_id] = entry
                continue
            # It keeps its position, and does not hold up uploads that need less.
            left = [other for other in queue.entries if other != entry]
            if isinstance(error, DiskFull):
                left = [e for e in left if e.upload_id in reserved or e.bytes < entry.bytes]
            queue = queue.restricted_to({e.upload_id for e in left})
            free = await self._free()
            if free is not None:
                free += sum(e.bytes for e in reserved.values())
            admissible = queue.admissible(limits, free, now)
        return admissible

    async def _reserve_one(self, entry: Entry) -> UploadError | None:
        """Reserve the space of one upload; the error if that fails."""
        context, storage = self._context, self._context.storage

        def reserve() -> bool:
            with context.reserving.within(entry.bytes, self._free_now) as fits:
                if fits:
                    storage.reserve(entry.upload_id, entry.bytes, upload.suffix)
                return fits

        try:
            upload = await context.catalog.load(entry.upload_id)
        except UploadError as error:  # gone meanwhile, or a record that cannot be read
            return error
        try:
            if not entry.is_returning and not await context.on_thread(reserve):
                return DiskFull()  # a new upload is taking the space
        except UploadError as error:
            await self._not_reserved(entry, error)
            return error
        self._trouble.pop(entry.upload_id, None)
        return None

    async def _not_reserved(self, entry: Entry, error: UploadError) -> None:
        """It keeps its position in the queue, unless the volume can never hold it."""
        self._context.log_event(Event.NOT_RESERVED, upload_id=entry.upload_id, code=error.code)
        if isinstance(error, DiskFull):
            self._trouble.pop(entry.upload_id, None)
            return
        self._trouble[entry.upload_id] = error
        if isinstance(error, NeverFits):
            now = self._context.clock()
            upload = await self._context.catalog.update(
                entry.upload_id, lambda u: u.fail(error.code, now)
            )
            self._context.log_event(Event.FAILED, upload, code=error.code)

    async def _free(self) -> int | None:
        """Bytes of disk that can be reserved; None where there is no volume to fill."""
        return await self._context.on_thread(self._free_now)

    def _free_now(self) -> int | None:
        """The same, blocking."""
        return free_for_uploads(self._context.storage.space(), self._context.limits)

    async def _left_behind(self, queue: Queue) -> bool:
        """Delete what a process that died had reserved for uploads that wait; whether it had."""
        waiting = {entry.upload_id for entry in queue.entries if not entry.is_returning}
        storage = self._context.storage
        there = await self._context.on_thread(lambda: dict(storage.unfinished()))
        for upload_id in waiting & there.keys():
            with self._context.isolated(Event.BACKGROUND_FAILED, upload_id=upload_id):
                await self._delete(upload_id)
        return bool(waiting & there.keys())

    async def _delete(self, upload_id: str) -> None:
        """Delete a reservation, unless the upload was admitted after all."""
        upload = await self._context.catalog.load(upload_id)
        if upload.state is not State.RECEIVING:
            await self._context.on_thread(self._context.storage.delete, upload_id)

    async def _forfeit(self, upload_id: str, now: float) -> None:
        context = self._context
        upload = await context.catalog.update(upload_id, lambda u: u.forfeit(now))
        if upload.state is State.EXPIRED:
            # A crash here leaves the folder of an expired upload: the sweep deletes it.
            await context.remove(upload)
            context.log_event(Event.TURN_MISSED, upload)

    async def positions(self) -> Mapping[str, int]:
        """By upload: 1 is next. In a long queue they may be a second old."""
        return await self._positions()

    async def position(self, upload_id: str) -> int | None:
        """Its position; None if it has left the queue. Raises as `check_reservation` does."""
        self.check_reservation(upload_id)
        return (await self._positions(upload_id)).get(upload_id)

    async def _positions(self, wanted: str | None = None) -> Mapping[str, int]:
        now, last = anyio.current_time(), self._counted
        if (
            last is not None
            and len(last.by_upload) > LONG_QUEUE
            and now - last.at <= MAX_AGE
            and (wanted is None or wanted in last.by_upload)
        ):
            return last.by_upload
        return await self._count()

    async def _count_positions(self) -> Mapping[str, int]:
        now, at, limits = anyio.current_time(), self._context.clock(), self._context.limits
        queue = await self._context.catalog.queue(at, limits.latest_slot_end(at))
        self._counted = _Positions(now, queue.positions())
        return self._counted.by_upload

    async def refusal(self, upload_id: str) -> Queued:
        """The error for a request that sends bytes before its upload is admitted."""
        position = await self.position(upload_id)
        return Queued(position, poll_after(position, self._context.settings.turn))
