"""The verb write: bytes from a body into an upload.

Rule 1: bytes, then sync, then record, then the answer. A crash before the
record loses what this request brought; it never tells a lie.

Rule 2: the newest request for a range wins. It ends the one before, waits
until that one's last write has returned, and only then writes itself.

Rule 3: only gaps are written. Bytes that are recorded are read and thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import anyio

from wherry.body import Body, Ended, Receiver
from wherry.catalog import Change
from wherry.core.digests import running
from wherry.core.errors import (
    BadRequest,
    BodyCut,
    BodyStalled,
    Busy,
    DigestMismatch,
    InLine,
    Superseded,
    UploadError,
)
from wherry.core.limits import MiB
from wherry.core.ranges import Range
from wherry.core.requests import Caller, Write
from wherry.core.upload import Upload
from wherry.engine.admitting import Admitting
from wherry.engine.content import HEAD, Content
from wherry.engine.context import Context
from wherry.events import Event
from wherry.storage import RangeLocked, Vanished, Writer

#: A long body is recorded this often, so that a crash loses no more.
RECORD_EVERY = 16 * MiB
#: How long a request waits for another process to leave its range, in seconds.
LOCK_PATIENCE = 10.0


@dataclass(eq=False)
class OpenWrite:
    """One request that is writing in this process."""

    upload_id: str
    range: Range
    token: str
    is_first: bool  #: Of the rounds of its request.
    leased: bool = False
    kept_at: float = 0.0  #: When the upload was last recorded to be active, for its sake.
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    over: anyio.Event = field(default_factory=anyio.Event)


class _Idle(Exception):
    """The upload's slot was given away while nothing came."""


class Writing:
    def __init__(self, context: Context, content: Content, admitting: Admitting) -> None:
        self._context = context
        self._content = content
        self._admitting = admitting
        self._open: list[OpenWrite] = []  # in the order in which they came

    async def write(self, caller: Caller, write: Write, body: Body) -> Upload:
        """Raises whatever may be wrong with the request before a byte of it is read."""
        if not body.remaining:
            raise BadRequest("body", "is empty")
        begin = start = await self._start_of(caller, write, body.remaining)
        announced = body.remaining
        while body.remaining:
            # A body with a digest is kept or dropped whole, so it is one round.
            size = body.remaining if write.digest else min(body.remaining, RECORD_EVERY)
            # What is left of this body must fit, and not only what this round takes.
            whole = Range(begin, begin + body.remaining)
            within = Range(begin, begin + size)
            mine = OpenWrite(write.upload_id, within, self._context.new_id(), begin == start)
            try:
                upload, begin, ended = await self._round(caller, mine, whole, write, body)
            except Superseded:
                if self._context.is_stopping():  # no newer request: `end_all` has ended this one
                    raise BodyCut(begin - start, announced) from None
                # Ended without a newer request, too: then the upload has ended, and says so.
                (await self._context.catalog.load(write.upload_id)).check_receiving()
                raise
            write = replace(write, is_chunk=False)  # its size is checked once
            if ended is not Ended.WHOLE:
                received = begin - start
                self._context.log_event(
                    Event.CUT, upload, at=begin, received=received, announced=announced
                )
                if ended is Ended.STALLED:
                    raise BodyStalled(received, self._context.settings.chunk_timeout)
                raise BodyCut(received, announced)
        return upload

    async def _start_of(self, caller: Caller, write: Write, size: int) -> int:
        if write.index is None:
            return write.offset or 0
        chunk = (await self._context.load(caller, write.upload_id)).chunk_range(write.index)
        if size > len(chunk):
            raise BadRequest("chunk_index", "the request brings more bytes than that chunk has")
        return chunk.start

    async def _round(
        self, caller: Caller, mine: OpenWrite, whole: Range, write: Write, body: Body
    ) -> tuple[Upload, int, Ended]:
        """Lease, pour, sync, record. The upload after it, how far it came, how it ended."""
        context, token, begun = self._context, mine.token, self._context.clock()
        async with self._registered(mine):
            try:
                upload = await self._lease(caller, mine, whole, write)
                with mine.scope:
                    await self._end_older(mine)
                    receiver, ended = await self._pour(upload, mine, write, body)
                if mine.scope.cancelled_caught:
                    raise Superseded
            except Vanished:
                raise await context.vanished(write.upload_id) from None
            except BaseException as error:
                # Refused the lease, it has none; cancelled while it asked, it may have one.
                if mine.leased or not isinstance(error, UploadError):
                    with anyio.CancelScope(shield=True):
                        await self._release(write.upload_id, token)
                raise
            # A crash here: the bytes are safe but not recorded, and will be sent again.
            parts = receiver.parts(context.clock())
            now = context.clock()
            with anyio.CancelScope(shield=True):
                try:
                    upload = await context.catalog.update(
                        upload.id,
                        lambda u: u.record(token, parts).keep_slot(now, context.settings.limits),
                    )
                except UploadError:
                    await self._release(write.upload_id, token)
                    raise
            if fresh := sum(part.end - part.start for part in parts):
                seconds, at = context.clock() - begun, mine.range.start
                context.log_event(Event.RECORDED, upload, at=at, received=fresh, seconds=seconds)
            # A crash here: recorded, but not told. The client asks, or sends it again.
        return upload, receiver.at, ended

    async def _pour(
        self, upload: Upload, mine: OpenWrite, write: Write, body: Body
    ) -> tuple[Receiver, Ended]:
        context, within, token = self._context, mine.range, mine.token
        announced = running(write.digest.algorithm) if write.digest else None
        gaps = upload.received.missing(within)
        writer = await self._writer(upload.id, within)
        with writer:
            # Whoever took the range between lease and lock may have recorded bytes in it;
            # from here on the lock keeps them out.
            if token not in await context.catalog.tokens(upload.id):
                raise Superseded
            receiver = Receiver(within.start, gaps, writer.write, announced)
            try:
                ended, left = Ended.WHOLE, len(within)
                is_looked_at = within.start == 0 and self._content.is_checked
                if is_looked_at and announced is None:
                    ended = await body.pour(receiver, min(HEAD, left))
                    left -= receiver.at
                    if receiver.at in (HEAD, upload.length):
                        await self._content.check_type(upload)
                if ended is Ended.WHOLE and left and body.remaining:
                    ended = await body.pour(receiver, left)
            except OSError as error:
                raise context.as_upload_error(error) from error
            if announced is not None and write.digest is not None:
                if ended is not Ended.WHOLE:
                    receiver = Receiver(within.start, (), writer.write)
                elif announced.digest() != write.digest.value:
                    raise DigestMismatch(write.digest.algorithm)
                elif is_looked_at:  # only now: a damaged body says nothing about the file
                    await self._content.check_type(upload)
            if gaps:
                await context.on_thread(_sync, writer)
        return receiver, ended

    async def _lease(self, caller: Caller, mine: OpenWrite, whole: Range, write: Write) -> Upload:
        """Take the range in the catalog; an upload that was idle asks for a slot again."""
        context, now = self._context, self._context.clock()
        limits = context.settings.limits

        def lease(upload: Upload) -> Upload:
            upload.check_owner(caller)
            upload.check_receiving()
            upload.check_inside(whole)
            # A later round is no newer request: who came meanwhile keeps the range.
            if not mine.is_first and any(le.range.overlaps(mine.range) for le in upload.leases):
                raise Superseded
            if write.is_chunk:
                limits.check_chunk(whole, upload.length)
            return upload.keep_slot(now, limits).lease(mine.range, mine.token, now)

        def lease_with_slot(upload: Upload) -> Upload:
            after = lease(upload)
            if not upload.is_open(now, limits.latest(now)):
                raise _Idle
            return after

        try:
            upload = await context.catalog.update(mine.upload_id, lease_with_slot)
        except _Idle:
            await context.catalog.update(mine.upload_id, lambda u: u.stand_in_line(now))
            if (await self._admitting.enter(mine.upload_id)).queued_at is not None:
                raise InLine from None
            upload = await context.catalog.update(mine.upload_id, lease)
        mine.leased, mine.kept_at = True, now
        return upload

    async def keep_active(self) -> None:
        """Bytes on their way are activity, however slowly they come: slots and uploads live on."""
        now, settings = self._context.clock(), self._context.settings
        due = now - min(settings.slot_idle / 2, settings.expires_after / 4)
        for write in [w for w in self._open if w.leased and not due < w.kept_at <= now]:
            write.kept_at = now
            with suppress(UploadError):
                await self._context.catalog.update(write.upload_id, self._kept(write.token, now))

    def _kept(self, token: str, now: float) -> Change:
        limits = self._context.settings.limits
        return lambda upload: upload.touch(token, now).keep_slot(now, limits)

    async def _writer(self, upload_id: str, within: Range) -> Writer:
        """Another process may be at its last write in this range: its end is near."""
        give_up = anyio.current_time() + LOCK_PATIENCE
        opened: list[Writer] = []

        def open_range() -> Writer:
            opened.append(self._context.storage.open(upload_id, within))
            return opened[0]

        while True:
            try:
                return await self._context.on_thread(open_range)
            except asyncio.CancelledError:
                for writer in opened:  # nobody is left who would close it, and its lock stays
                    writer.__exit__(None, None, None)
                raise
            except RangeLocked:
                if anyio.current_time() > give_up:
                    raise Busy("writing these bytes") from None
            await anyio.sleep(0.05)

    async def _release(self, upload_id: str, token: str) -> None:
        try:
            await self._context.catalog.update(upload_id, lambda u: u.release(token))
        except UploadError as error:
            self._context.log_event(Event.NOT_RELEASED, upload_id=upload_id, code=error.code)

    @asynccontextmanager
    async def _registered(self, mine: OpenWrite) -> AsyncIterator[None]:
        self._open.append(mine)
        try:
            yield
        finally:
            self._open.remove(mine)
            mine.over.set()

    async def _end_older(self, mine: OpenWrite) -> None:
        """Of two that want the same bytes, the one that came later waits for the other's end."""
        older = self._open[: self._open.index(mine)]
        same = [w for w in older if w.upload_id == mine.upload_id]
        await self._end([w for w in same if w.range.overlaps(mine.range)])

    async def end(self, upload_id: str) -> None:
        """End every request that writes into this upload, and wait until it has."""
        await self._end([w for w in self._open if w.upload_id == upload_id])

    async def end_all(self) -> None:
        """End every request: the server is stopping, and clients can go on later."""
        await self._end(list(self._open))

    async def _end(self, writes: list[OpenWrite]) -> None:
        for write in writes:
            write.scope.cancel()
        for write in writes:
            await write.over.wait()

    async def end_superseded(self) -> None:
        """End requests whose range another process has taken, or whose upload is gone."""
        context, leased = self._context, [write for write in self._open if write.leased]
        for upload_id in {write.upload_id for write in leased}:
            with context.isolated(Event.BACKGROUND_FAILED, upload_id=upload_id):
                tokens = await context.catalog.tokens(upload_id)
                try:
                    await context.on_thread(context.storage.head, upload_id, 0)
                except Vanished:  # somebody has removed it by hand
                    await context.vanished(upload_id)
                    tokens = frozenset()
                for write in leased:
                    if write.upload_id == upload_id and write.token not in tokens:
                        write.scope.cancel()


def _sync(writer: Writer) -> None:
    """Raises `Vanished` where the bytes went into a folder that was removed meanwhile."""
    try:
        writer.sync()
    except FileNotFoundError:
        raise Vanished from None
