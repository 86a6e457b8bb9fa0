"""The queue: whoever asks for a place gets one as soon as there is room.

Rule 1: there is one way in. Every upload stands in the queue, most of them for a
moment only, so that nobody is let in past somebody who waits.

Rule 2: one process at a time lets in. What it finds free nobody else promises
meanwhile, and the folder of an upload that waits is nobody else's.

Rule 3: space before records. A place on disk is reserved before the record says that
the upload has one.

Rule 4: who waits, waits for room. A disk that gives another error than "full" is told
to whoever asks, and what the volume cannot hold at all leaves the queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

import anyio

from wherry.core.admission import Entry, Queue, ask_again
from wherry.core.errors import DiskFull, NeverFits, Queued, UploadError
from wherry.core.upload import State, Upload
from wherry.engine.context import Context
from wherry.events import Event
from wherry.locks import take_into

#: The lock of the process that admits.
LOCK = "line"
#: How long a process waits for another to let in, in seconds. It is at it again in a second.
PATIENCE = 5.0
#: In a queue longer than this, places are told that are at most so old, in seconds.
MANY, OLD = 100, 1.0


@dataclass(frozen=True, slots=True)
class _Positions:
    at: float
    by_upload: dict[str, int]


class Admitting:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._one_at_a_time = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._seen: _Positions | None = None
        self._trouble: dict[str, UploadError] = {}

    @property
    def trouble(self) -> str | None:
        """What keeps those from coming in whose turn it is, if it is not a lack of room."""
        return next((str(e) for e in self._trouble.values() if not isinstance(e, NeverFits)), None)

    def check_reservation(self, upload_id: str) -> None:
        """Raises why it got no place at its turn, where waiting alone does not help."""
        if (error := self._trouble.get(upload_id)) is not None:
            raise error

    async def enter(self, upload_id: str) -> Upload:
        """The upload, let in if it is its turn."""
        async with self.alone() as is_alone:
            upload = await self._context.catalog.load(upload_id)
            if upload.queued_at is None or not is_alone:
                return upload  # whoever was here before has let it in, or is stuck in there
            changed = await self._advance(entering=upload_id)
        return changed.get(upload_id, upload)

    async def advance(self) -> None:
        """Let in whoever has room now; who was let in and sent nothing makes some."""
        async with self.alone() as is_alone:
            if is_alone:
                await self._advance()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Whether nobody else lets in meanwhile, in any process; False: somebody is stuck at it."""

        context = self._context
        give_up = anyio.current_time() + PATIENCE
        async with self._one_at_a_time:
            with ExitStack() as held:
                while not (
                    is_alone := await context.on_thread(take_into, held, context.locks, LOCK)
                ):
                    if anyio.current_time() > give_up:
                        break
                    await anyio.sleep(0.005)
                yield is_alone

    async def _advance(self, entering: str | None = None) -> dict[str, Upload]:
        context, now = self._context, self._context.clock()
        limits = context.settings.limits
        queue = await context.catalog.queue(now, limits.latest(now))
        if not queue.entries:
            self._trouble.clear()
            return {}
        # While the storage is away, nobody could have sent anything: nobody missed a turn.
        await context.on_thread(context.storage.present)
        for upload_id in queue.unused:
            with context.isolated(Event.BACKGROUND_FAILED, upload_id=upload_id):
                await self._forfeit(upload_id, now)
        since = {place.upload_id: place.since for place in await self._reserve(queue, now)}
        # A crash here: places on disk for some who wait. `_left_behind` finds them.

        def choose(queue: Queue) -> list[str]:
            turns = queue.only(since.keys()).turns(limits, now=now)
            return [place.upload_id for place in turns]

        if not since:
            return {}
        until, latest = now + limits.turn, limits.latest(now)
        let_in = await context.catalog.advance(now, choose, lambda u: u.let_in(now, until), latest)
        for upload in let_in:
            waited = max(now - since[upload.id], 0.0)
            if upload.id != entering or waited > 1:  # else it has only just asked
                context.log_event(Event.LET_IN, upload, waited=waited)
        changed = {upload.id: upload for upload in let_in}
        for upload_id in since.keys() - changed.keys():  # cancelled meanwhile
            with context.isolated(Event.BACKGROUND_FAILED, upload_id=upload_id):
                await self._delete(upload_id)
        return changed

    async def _reserve(self, queue: Queue, now: float) -> tuple[Entry, ...]:
        """Those whose turn it is, with their place on disk."""
        limits = self._context.settings.limits
        turns = queue.turns(limits, await self._free(), now)
        lack_space = set(queue.turns(limits, now=now)) - set(turns)
        if lack_space and await self._left_behind(queue):
            turns = queue.turns(limits, await self._free(), now)
        # What was wrong for others is not known any more: they left, or wait for room only.
        tried = {place.upload_id for place in turns}
        self._trouble = {id_: error for id_, error in self._trouble.items() if id_ in tried}
        reserved: dict[str, Entry] = {}
        while todo := [place for place in turns if place.upload_id not in reserved]:
            place = todo[0]
            error = await self._reserve_one(place)
            if error is None:
                reserved[place.upload_id] = place
                continue
            # It keeps its place in the queue, and stops nobody who could do with less.
            left = [p for p in queue.entries if p != place]
            if isinstance(error, DiskFull):
                left = [p for p in left if p.upload_id in reserved or p.bytes < place.bytes]
            queue = queue.only({p.upload_id for p in left})
            free = await self._free() + sum(p.bytes for p in reserved.values())
            turns = queue.turns(limits, free, now)
        return turns

    async def _reserve_one(self, place: Entry) -> UploadError | None:
        """A place on disk for one; why there is none, if so."""
        context = self._context
        try:
            await context.catalog.load(place.upload_id)
        except UploadError as error:  # gone meanwhile, or a record that cannot be read
            return error
        try:
            if not place.comes_back:
                await context.on_thread(context.storage.reserve, place.upload_id, place.bytes)
        except UploadError as error:
            await self._not_reserved(place, error)
            return error
        self._trouble.pop(place.upload_id, None)
        return None

    async def _not_reserved(self, place: Entry, error: UploadError) -> None:
        """It keeps its place in the queue, unless the volume cannot hold it at all."""
        self._context.log_event(Event.NOT_RESERVED, upload_id=place.upload_id, code=error.code)
        if isinstance(error, DiskFull):
            self._trouble.pop(place.upload_id, None)
            return
        self._trouble[place.upload_id] = error
        if isinstance(error, NeverFits):
            upload = await self._context.catalog.update(
                place.upload_id, lambda u: u.fail(error.code)
            )
            self._context.log_event(Event.FAILED, upload, code=error.code)

    async def _free(self) -> int:
        """Bytes of disk that may be promised."""
        space = await self._context.on_thread(self._context.storage.space)
        return space.free - self._context.settings.min_free

    async def _left_behind(self, queue: Queue) -> bool:
        """Delete the places of those who wait: of a process that died. Whether there were any."""
        waiting = {place.upload_id for place in queue.entries if not place.comes_back}
        storage = self._context.storage
        there = await self._context.on_thread(lambda: dict(storage.unfinished()))
        for upload_id in waiting & there.keys():
            with self._context.isolated(Event.BACKGROUND_FAILED, upload_id=upload_id):
                await self._delete(upload_id)
        return bool(waiting & there.keys())

    async def _delete(self, upload_id: str) -> None:
        """Take back a place, unless the upload has come in after all."""
        upload = await self._context.catalog.load(upload_id)
        if upload.state is not State.RECEIVING:
            await self._context.on_thread(self._context.storage.delete, upload_id)

    async def _forfeit(self, upload_id: str, now: float) -> None:
        context = self._context
        upload = await context.catalog.update(upload_id, lambda u: u.forfeit(now))
        if upload.state is State.EXPIRED:
            # A crash here leaves the folder of an expired upload: the sweep deletes it.
            await context.on_thread(context.storage.delete, upload_id)
            context.log_event(Event.TURN_MISSED, upload)

    async def positions(self) -> Mapping[str, int]:
        """By upload: 1 is next. Of a long queue they may be a second old."""
        async with self._looking:
            return await self._positions()

    async def position(self, upload_id: str) -> int | None:
        """Its place; None if it stands in the queue no more. Raises as `check_reservation` does."""
        self.check_reservation(upload_id)
        async with self._looking:
            return (await self._positions(upload_id)).get(upload_id)

    async def _positions(self, wanted: str | None = None) -> Mapping[str, int]:
        now, seen = anyio.current_time(), self._seen
        is_good = seen is not None and now - seen.at <= OLD and len(seen.by_upload) > MANY
        if seen is None or not is_good or (wanted is not None and wanted not in seen.by_upload):
            at, limits = self._context.clock(), self._context.settings.limits
            queue = await self._context.catalog.queue(at, limits.latest(at))
            self._seen = seen = _Positions(now, queue.positions())
        return seen.by_upload

    async def refusal(self, upload_id: str) -> Queued:
        """What to tell somebody who sends bytes before it is its turn."""
        position = await self.position(upload_id)
        return Queued(position, ask_again(position, self._context.settings.turn))
