"""The verb join: one upload is made of the bytes of others, its pieces.

    1. record    the joined upload, and in each piece that it belongs to it    catalog
    2. wait      until every piece is whole
    3. copy      the bytes of a piece, synced                                  storage
    4. record    these bytes are received in the joined upload                 catalog
    5. delete    the piece, when it is not needed again: record, then bytes    catalog, storage
       (3 to 5 again, for each piece in its order)
    6. complete  as any upload                                                 `Completing`

Rule 1: bytes, then sync, then record, as in `writing.py`. A piece loses its bytes only when the
joined upload has them on record.

Rule 2: no byte is read for a digest. A piece is recorded with its own CRC-64, and the CRCs of
neighbours are combined.

Rule 3: one process at a time joins an upload, under the lock under which it is completed and
cancelled.

Rule 4: the space of a joined upload is that of its pieces: it reserves none and takes no slot. What
there is twice at any time is one piece, until it is deleted.

A process may die between any two steps, or in one. Between the two records of 1, pieces name an
upload that does not exist: the request is repeated, or another one may claim them. After that, the
record says which pieces it has already, and the next request about the joined upload, or the
process that sweeps (`resume`), goes on with the others. A piece that was copied and not recorded is
copied again, over itself. Of one that was recorded and not deleted, 5 is done again, because
an upload is complete only when all of its pieces are deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from wherry.catalog.pages import every_record
from wherry.core.admission import check_fits_ever, free_for_uploads
from wherry.core.errors import BadRequest, Busy, DiskFull, UploadError, UploadGone, UploadNotFound
from wherry.core.limits import MiB
from wherry.core.ranges import Part, Range
from wherry.core.requests import Caller, Create, id_of_pieces
from wherry.core.upload import GONE, State, Upload
from wherry.engine.context import Context
from wherry.engine.creating import Creating
from wherry.events import Event
from wherry.storage import Vanished, Whole

#: How many bytes one trip to a thread copies: a server that stops waits for no more than that.
COPIED_AT_ONCE = 64 * MiB
#: Why a joined upload has failed: one of its pieces is gone.
PIECE_GONE = "piece-gone"


class Joining:
    def __init__(
        self,
        context: Context,
        creating: Creating,
        *,
        end: Callable[[str], Awaitable[None]],
        complete: Callable[[Caller, str], Awaitable[Upload]],
    ) -> None:
        """`end(upload_id)` ends the requests of this process that write into it."""
        self._context = context
        self._creating = creating
        self._end = end
        self._complete = complete
        self._tasks: dict[str, asyncio.Task[Upload]] = {}

    # What a request does.

    async def create(
        self, caller: Caller, create: Create, piece_ids: Sequence[str]
    ) -> tuple[Upload, bool]:
        """The upload that is joined from these pieces, and whether it is new.

        Asked again for the same pieces, the same one. Raises as `Engine.join` does.
        """
        if not piece_ids:
            raise BadRequest("pieces", "there are none")
        context, upload_id = self._context, id_of_pieces(caller.owner, piece_ids, caller.ticket_id)
        if (known := await self._known(caller, upload_id)) is not None:
            return known, False
        async with context.alone(upload_id):
            if (known := await self._known(caller, upload_id)) is not None:
                return known, False
            pieces = {each: await context.load(caller, each) for each in dict.fromkeys(piece_ids)}
            for piece in pieces.values():
                piece.check_joinable()
            length = sum(pieces[each].length or 0 for each in piece_ids)
            space = await context.on_thread(context.storage.space)
            check_fits_ever(length, context.limits, space)
            create = replace(create, length=length).checked()
            wanted = self._creating.new_upload(upload_id, caller, create)
            for piece in pieces.values():
                await self._claim(piece, upload_id)
            # A crash here: the pieces name an upload that does not exist.
            upload = await context.catalog.create(
                wanted.join_from(pieces[each] for each in piece_ids)
            )
        context.log_event(Event.CREATED, upload, state=upload.state.value, received=0)
        return upload, True

    async def _known(self, caller: Caller, upload_id: str) -> Upload | None:
        """What the same request has led to before; None: nothing. Raises `UploadGone`."""
        known = await self._find(upload_id)
        if known is not None:
            known.check_owner(caller)
            known.check_exists()
        return known

    async def is_known(self, caller: Caller, piece_ids: Sequence[str]) -> bool:
        """Whether the caller has asked for this before."""
        upload_id = id_of_pieces(caller.owner, piece_ids, caller.ticket_id)
        return await self._find(upload_id) is not None

    async def _claim(self, piece: Upload, upload_id: str) -> None:
        """Raises `BadRequest` if it belongs to another upload that has not ended."""
        instead_of = piece.joined_into
        if instead_of is not None and not await self._has_ended(instead_of):
            instead_of = None
        await self._context.catalog.update(piece.id, lambda u: u.claim(upload_id, instead_of))

    async def _has_ended(self, upload_id: str) -> bool:
        found = await self._find(upload_id)
        return found is None or found.state in GONE

    async def has_bytes_of(self, piece: Upload) -> bool:
        """Whether the bytes of this piece are in an upload that has not ended."""
        if not piece.is_joined() or piece.joined_into is None:
            return False
        joined = await self._find(piece.joined_into)
        return joined is not None and joined.state not in GONE and joined.discarded_at is None

    async def joined(self, caller: Caller, upload: Upload) -> Upload:
        """The upload when it is complete, or as it is after `answer_within` seconds.

        Without waiting, if a piece is not whole, or if another process joins it.
        """
        if upload.state is not State.RECEIVING:
            return upload
        task = self.begin(upload.id)
        settings = self._context.settings
        # `wait_for` would cancel the task at the timeout.
        await asyncio.wait([task], timeout=min(settings.answer_within, settings.hook_timeout))
        return task.result() if task.done() else await self._context.load(caller, upload.id)

    # Tasks: a request may leave before its upload is joined.

    def begin(self, upload_id: str) -> asyncio.Task[Upload]:
        """The task that joins this upload; the one that runs already, if there is one."""
        if upload_id not in self._tasks:
            task = asyncio.create_task(self._until_complete(upload_id))
            self._tasks[upload_id] = task
            task.add_done_callback(partial(self._note_end, upload_id))
        return self._tasks[upload_id]

    def _note_end(self, upload_id: str, task: asyncio.Task[Upload]) -> None:
        del self._tasks[upload_id]
        error = None if task.cancelled() else task.exception()
        # Refusals are logged where they arise, and perhaps no request waits for any of them.
        if isinstance(error, Exception) and not isinstance(error, UploadError):
            with self._context.isolated(Event.BACKGROUND_FAILED, upload_id=upload_id):
                raise error

    def note(self, upload: Upload) -> None:
        """Begin to join, if this is a piece that has just become whole."""
        into = upload.joined_into
        if into is not None and upload.is_whole and not self._context.is_stopping():
            self.begin(into)

    async def resume(self) -> None:
        """Go on with every upload whose pieces are there, and whose process died."""
        context = self._context
        if context.is_stopping():
            return
        now = context.clock()
        async for upload in every_record(partial(context.catalog.due, {State.RECEIVING}, now, now)):
            if upload.pieces:
                self.begin(upload.id)

    async def stop(self) -> None:
        """End what runs, when the bytes on their way are safe; another process resumes it."""
        for task in (tasks := list(self._tasks.values())):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # What a task does.

    async def _until_complete(self, upload_id: str) -> Upload:
        context = self._context
        try:
            async with context.locked(upload_id):
                upload = await context.catalog.load(upload_id)
                if upload.state is State.RECEIVING and not await self._is_joined(upload):
                    return upload
        except Busy:  # another process joins it, or completes or cancels it
            return await context.catalog.load(upload_id)
        return await self._complete(Caller(upload.owner), upload_id)

    async def _is_joined(self, upload: Upload) -> bool:
        """Whether it has all of its bytes now; False while a piece is not whole."""
        context, storage = self._context, self._context.storage
        places = [] if upload.joining is None else upload.joining.places()
        pieces = await self._missing_pieces(upload, places)
        if not all(piece.is_whole for piece in pieces.values()):
            return False
        # A volume has the space of the pieces already, and the file grows as they come.
        length = 0 if storage.parts is None else upload.length or 0
        await context.on_thread(storage.reserve, upload.id, length, upload.suffix)
        last = {piece_id: number for number, (piece_id, _) in enumerate(places)}
        for number, (piece_id, within) in enumerate(places):
            if within is not None and upload.received.missing(within):
                upload = await self._copied(upload, pieces[piece_id], within)
            if last[piece_id] == number:
                await self._end_piece(piece_id, upload.id)
        return True

    async def _missing_pieces(
        self, upload: Upload, places: Sequence[tuple[str, Range | None]]
    ) -> dict[str, Upload]:
        """The pieces whose bytes it lacks. Raises `UploadGone` if it can never have them."""
        found = dict[str, Upload]()
        for piece_id, within in places:
            if within is None or piece_id in found or not upload.received.missing(within):
                continue
            piece = await self._find(piece_id)
            if piece is None or piece.state in GONE:
                raise await self._failed(upload)
            found[piece_id] = piece
        return found

    async def _copied(self, upload: Upload, piece: Upload, within: Range) -> Upload:
        """The joined upload with the bytes of this piece, as those of `within`."""
        context, storage = self._context, self._context.storage
        source, at = Whole(piece.id, len(within), piece.received.crc), within.start
        await self._check_room(len(within))
        try:
            while at < within.end:
                end = min(await self._copy_end(upload.id, at), within.end)
                part = Range(at - within.start, end - within.start)
                await context.on_thread(storage.copy, source, part, upload.id, at)
                at = end
        except Vanished:
            raise await self._vanished(upload, piece) from None
        # A crash here: the bytes are safe but not recorded, and are copied again over themselves.
        received = Part(within.start, within.end, source.crc, context.clock())
        return await context.catalog.update(upload.id, lambda u: u.join(received))

    async def _check_room(self, length: int) -> None:
        """Raises `DiskFull` where a copy would take space that the operator wants to be free."""
        context = self._context
        free = free_for_uploads(await context.on_thread(context.storage.space), context.limits)
        if free is not None and free < length:
            raise DiskFull

    async def _copy_end(self, upload_id: str, at: int) -> int:
        """Where a copy that begins at `at` ends at the latest: where a part of storage does."""
        if (parts := self._context.storage.parts) is None:
            return at + COPIED_AT_ONCE
        return await self._context.on_thread(parts.round_end, upload_id, at, COPIED_AT_ONCE)

    async def _end_piece(self, piece_id: str, upload_id: str) -> None:
        """Delete a piece whose bytes are recorded; without effect if it is deleted."""
        context, now = self._context, self._context.clock()
        with suppress(UploadNotFound):  # its record was deleted, too
            ended = await context.catalog.update(piece_id, lambda u: u.end_piece(upload_id, now))
            await self._end(piece_id)
            # A crash here leaves the bytes of a piece that has ended: the sweep deletes them.
            await context.remove(ended)
            context.log_event(Event.JOINED, ended)

    async def _vanished(self, upload: Upload, piece: Upload) -> UploadError:
        """Storage has lost one of the two. Returns the error to raise."""
        if await self._context.is_removed(piece):
            await self._context.vanished(piece.id)
            return await self._failed(upload)
        return await self._context.vanished(upload.id)

    async def _failed(self, upload: Upload) -> UploadError:
        """End an upload of which a piece is gone. Returns the error to raise."""
        context, now = self._context, self._context.clock()
        failed = await context.catalog.update(upload.id, lambda u: u.fail(PIECE_GONE, now))
        await context.remove(failed)
        context.log_event(Event.FAILED, failed, code=PIECE_GONE)
        return UploadGone(failed.state.value, failed.failure)

    async def _find(self, upload_id: str) -> Upload | None:
        try:
            return await self._context.catalog.load(upload_id)
        except UploadNotFound:
            return None
