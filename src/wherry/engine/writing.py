"""The verb write: bytes from a body into an upload.

A body is taken in rounds of 16 MiB, so that a crash in a body of gigabytes loses little of it.
Each round does the same four things:

    1. lease    record: these bytes are mine. Requests that had any of them lose theirs
    2. pour     body to disk, into the gaps of the range
    3. sync     the bytes survive power loss
    4. record   these bytes are received; the lease ends

Only then is the request answered. What has to be ruled out is that two requests write the same
bytes at the same time (a client that lost its connection sends the chunk again, while the first
request still has bytes in its buffers), and that a byte is recorded which is not on the disk.

Rule 1: bytes, then sync, then record, then the answer. A crash before the record loses what the
round brought. No other order has this: a record before the sync would, after a power cut, promise
zeros as received bytes, and no later request would ever replace them.

Rule 2: the newest request for a range wins. The client that sends a chunk again knows that the
older request is of no use to it; refusing the newer one until the older one times out would let
each lost connection cost `chunk_timeout`. The newer request ends the older one, waits until its
last write has returned, and only then writes.

Rule 3: only gaps are written. Bytes that are recorded already are read and thrown away, so a
received byte never changes, whatever a later request brings.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import anyio

from wherry.body import Body, Ended, Receiver
from wherry.core.digests import running
from wherry.core.errors import (
    BadRequest,
    BodyCut,
    BodyStalled,
    Busy,
    DigestMismatch,
    Queued,
    Superseded,
    UploadError,
)
from wherry.core.limits import MiB
from wherry.core.ranges import Range
from wherry.core.requests import Caller, Write
from wherry.core.upload import Upload
from wherry.engine.admitting import Admitting
from wherry.engine.context import Context
from wherry.engine.file_types import HEAD, FileTypes
from wherry.engine.openwrites import OpenWrite, OpenWrites
from wherry.events import Event
from wherry.storage import RangeLocked, Vanished, Writer

#: How many bytes one round takes. More of them would cost a crash more, fewer of them
#: would spend more time on syncs and records.
RECORD_EVERY = 16 * MiB
#: How long a request waits for another process to leave its range, in seconds.
LOCK_TIMEOUT = 10.0
#: How often it tries again meanwhile, in seconds.
POLL_INTERVAL = 0.05


class _Idle(Exception):
    """The upload's slot was given to another one while no bytes came."""


class Writing:
    def __init__(self, context: Context, file_types: FileTypes, admitting: Admitting) -> None:
        self._context = context
        self._file_types = file_types
        self._admitting = admitting
        self._open = OpenWrites()

    async def write(
        self, caller: Caller, write: Write, body: Body, *, is_limited: bool = True
    ) -> Upload:
        """The upload with what the body brought. Raises as `Engine.write` does.

        `is_limited`: whether `min_chunk` and `max_chunk` hold for the size of the body.
        """
        if not body.remaining:
            raise BadRequest("body", "is empty")
        begin = start = write.offset
        announced = body.remaining
        while body.remaining:
            # A digest says something about the whole body, and can be checked only at its
            # end. What is recorded is never taken back, so nothing is recorded before that.
            size = body.remaining if write.digest else min(body.remaining, RECORD_EVERY)
            # All that is left of the body must fit into the upload, and not only what this
            # round takes: a body that is too long is refused before a byte of it is read.
            whole = Range(begin, begin + body.remaining)
            within = Range(begin, begin + size)
            token, is_first = self._context.new_id(), begin == start
            mine = OpenWrite(write.upload_id, within, token, is_first, is_limited)
            try:
                upload, begin, ended = await self._round(caller, mine, whole, write, body)
            except Superseded:
                # A round can be ended from outside for three reasons, and the client gets a
                # different error for each. The server stops (`end_all`): for the client that
                # is a connection that broke, so it asks how far it came and goes on.
                if self._context.is_stopping():
                    raise BodyCut(begin - start, announced) from None
                # The upload was cancelled, has expired or was removed (`end`). This raises.
                (await self._context.catalog.load(write.upload_id)).check_receiving()
                # A newer request, here or in another process, has the range.
                raise
            if ended is not Ended.WHOLE:
                received = begin - start
                self._context.log_event(
                    Event.CUT, upload, at=begin, received=received, announced=announced
                )
                if ended is Ended.STALLED:
                    raise BodyStalled(received, self._context.settings.chunk_timeout)
                raise BodyCut(received, announced)
        return upload

    async def _round(
        self, caller: Caller, mine: OpenWrite, whole: Range, write: Write, body: Body
    ) -> tuple[Upload, int, Ended]:
        """Lease, pour, sync, record. The upload after it, how far it came, how it ended."""
        context, token, begun = self._context, mine.token, self._context.clock()
        # Before the lease, and nothing waits between the two. The catalog applies changes in
        # the order in which they are asked for, so the request that registers first also leases
        # first. The newer one takes the range from it in the catalog, and ends it here.
        # (An upload without a slot asks for its lease more than once. There the older request
        # may lease last, and both end with `Superseded`: the client sends the chunk again.)
        with self._open.registered(mine):
            try:
                upload = await self._lease(caller, mine, whole)
                # The lease is outside of the scope that others cancel: a catalog transaction
                # that is cut off may have been made all the same. What they can cut off is the
                # waiting for the client. A write to the disk is never cut off: a cancelled
                # `pour` returns only when the thread with the write has returned.
                with mine.scope:
                    # In this process, wait for the end of older requests; requests in other
                    # processes are kept out by the lock that `_pour` takes.
                    await self._open.end_older(mine)
                    receiver, ended = await self._pour(upload, mine, write, body)
                if mine.scope.cancelled_caught:
                    raise Superseded
            except Vanished:
                raise await context.vanished(write.upload_id) from None
            except BaseException as error:
                # An `UploadError` before `has_lease` is a refusal: there is nothing to give
                # back. After any other error there may be a lease: the client went away and
                # this task was cancelled, while the catalog recorded the lease all the same.
                if mine.has_lease or not isinstance(error, UploadError):
                    with anyio.CancelScope(shield=True):
                        await self._release(write.upload_id, token)
                raise
            # A crash here: the bytes are safe but not recorded. The client sends them again,
            # and they are written again, over themselves.
            now = context.clock()
            parts = receiver.parts(now)
            # Shielded: the bytes are safe, and a client that goes away now must not lose them.
            # A newer request may have leased the range since. Then `record` finds that our token
            # is gone and raises `Superseded`. What we wrote lies in gaps, and the newer request
            # fills these gaps once more.
            with anyio.CancelScope(shield=True):
                try:
                    upload = await context.catalog.update(
                        upload.id,
                        lambda u: u.record(token, parts).keep_slot(now, context.settings.limits),
                    )
                except UploadError:  # a refused `record` has not ended the lease
                    await self._release(write.upload_id, token)
                    raise
            if fresh := sum(part.end - part.start for part in parts):
                seconds, at = context.clock() - begun, mine.range.start
                context.log_event(Event.RECORDED, upload, at=at, received=fresh, seconds=seconds)
            # A crash here: recorded, and the client does not know. It asks how far it came, or
            # sends the bytes again, which are then thrown away.
        return upload, receiver.at, ended

    async def _pour(
        self, upload: Upload, mine: OpenWrite, write: Write, body: Body
    ) -> tuple[Receiver, Ended]:
        """Body to disk, and sync. What was written where, and how the body ended."""
        context, within, token = self._context, mine.range, mine.token
        digest = running(write.digest.algorithm) if write.digest else None
        gaps = upload.received.missing(within)
        writer = await self._open_writer(upload.id, within)
        with writer:
            # Between our lease and this lock, another process may have taken the range, written
            # and recorded in it, and let go of the lock. `gaps` is then out of date, and we
            # would write over recorded bytes. Its lease has ended ours, so it is enough to
            # check ours once more: from here on the lock keeps others from writing.
            if token not in await context.catalog.tokens(upload.id):
                raise Superseded
            receiver = Receiver(within.start, gaps, writer.write, digest)
            try:
                ended, left = Ended.WHOLE, len(within)
                # The type shows in the first 8 KiB. A client should not send the whole of a
                # file that is refused for its type, so those bytes are taken and checked first.
                # `check_type` reads them from storage: they are written, and not yet recorded.
                # If it raises, nothing of the round is recorded, and `Engine` deletes the upload.
                has_head = within.start == 0 and self._file_types.is_checked
                if has_head and digest is None:
                    ended = await body.pour(receiver, min(HEAD, left))
                    left -= receiver.at  # the range begins at 0
                    # Where fewer bytes came, the type is checked only at completion.
                    if receiver.at in (HEAD, upload.length):
                        await self._file_types.check_type(upload)
                if ended is Ended.WHOLE and left and body.remaining:
                    ended = await body.pour(receiver, left)
            except OSError as error:
                raise context.as_upload_error(error) from error
            if digest is not None and write.digest is not None:
                if ended is not Ended.WHOLE:
                    # Half of a body cannot be checked, so none of it is recorded: a receiver
                    # that has received nothing.
                    receiver = Receiver(within.start, (), writer.write)
                elif digest.digest() != write.digest.value:
                    raise DigestMismatch(write.digest.algorithm)
                elif has_head:
                    # Not before the digest: damaged first bytes say nothing about the file,
                    # and a refusal deletes the upload.
                    await self._file_types.check_type(upload)
            if gaps:
                await context.on_thread(_sync, writer)
        return receiver, ended

    async def _lease(self, caller: Caller, mine: OpenWrite, whole: Range) -> Upload:
        """Take the range in the catalog. An upload without a slot asks for one again.

        The checks and the lease are one transaction, so no other request comes between them.
        """
        context, now = self._context, self._context.clock()
        limits = context.settings.limits

        def lease(upload: Upload) -> Upload:
            upload.check_owner(caller)
            upload.check_receiving()
            upload.check_inside(whole)
            # A later round of this request is not newer than a request that came since the
            # first round. Without this the two would take the range from each other for ever.
            if not mine.is_first and any(le.range.overlaps(mine.range) for le in upload.leases):
                raise Superseded
            # The limits hold for the body, and not for what is left of it in later rounds.
            if mine.is_limited and mine.is_first:
                limits.check_chunk(whole, upload.length)
            return upload.keep_slot(now, limits).lease(mine.range, mine.token, now)

        def lease_with_slot(upload: Upload) -> Upload:
            # The lease first, for its refusals: an upload that takes no byte asks for no slot.
            after = lease(upload)
            if not upload.is_open(now, limits.latest_slot_end(now)):
                raise _Idle
            return after

        try:
            upload = await context.catalog.update(mine.upload_id, lease_with_slot)
        except _Idle:
            # Its slot ran out while nothing came, and others may wait for one. It enters the
            # queue like them, and is admitted at once if there is room. These are three
            # transactions. If the upload ends between them, the next one raises what the client
            # should hear. If this request ends between them, the upload stays in the queue: it
            # is admitted in its order, and its slot runs out again.
            await context.catalog.update(mine.upload_id, lambda u: u.enter_queue(now))
            if (await self._admitting.enter(mine.upload_id)).queued_at is not None:
                raise Queued from None
            upload = await context.catalog.update(mine.upload_id, lease)
        mine.has_lease, mine.kept_at = True, now
        return upload

    async def keep_active(self) -> None:
        """Renew the slots of uploads whose requests run, and put off their expiry.

        `Background` calls this each second. A request counts as activity also when nothing is
        recorded for a long time: its body may come slowly, and it has a time limit of its own
        (`chunk_timeout`).
        """
        now, settings = self._context.clock(), self._context.settings
        # Well before the slot ends or the upload expires, and not each second: it is a commit.
        due = now - min(settings.slot_idle / 2, settings.expires_after / 4)
        # A `kept_at` after `now` is of a clock that was set back, and says nothing.
        for write in [w for w in self._open.leased() if not due < w.kept_at <= now]:
            await self._keep_one_active(write, now)

    async def _keep_one_active(self, write: OpenWrite, now: float) -> None:
        write.kept_at = now
        limits = self._context.settings.limits
        with suppress(UploadError):  # the upload has ended, and `end` ends the request
            await self._context.catalog.update(
                write.upload_id, lambda u: u.touch(write.token, now).keep_slot(now, limits)
            )

    async def _open_writer(self, upload_id: str, within: Range) -> Writer:
        """The locked range. Raises `Busy` if another process does not leave it in time.

        That process has lost its lease and notices within a second (`end_superseded`).
        """
        give_up = anyio.current_time() + LOCK_TIMEOUT
        opened: list[Writer] = []

        def open_range() -> Writer:
            opened.append(self._context.storage.open(upload_id, within))
            return opened[0]

        while True:
            try:
                return await self._context.on_thread(open_range)
            except asyncio.CancelledError:
                # The thread went on and has opened the range; its result is lost. Without this
                # the range would stay locked as long as the process lives.
                for writer in opened:
                    writer.__exit__(None, None, None)
                raise
            except RangeLocked:
                if anyio.current_time() > give_up:
                    raise Busy("writing these bytes") from None
            await anyio.sleep(POLL_INTERVAL)

    async def _release(self, upload_id: str, token: str) -> None:
        try:
            await self._context.catalog.update(upload_id, lambda u: u.release(token))
        except UploadError as error:
            self._context.log_event(Event.NOT_RELEASED, upload_id=upload_id, code=error.code)

    async def end(self, upload_id: str) -> None:
        """End every request that writes into this upload, and wait until they have ended."""
        await self._open.end(upload_id)

    async def end_all(self) -> None:
        """End every request: the server stops, and clients can go on later."""
        await self._open.end_all()

    async def end_superseded(self) -> None:
        """End requests whose range another process has taken, or whose upload is gone.

        A process cannot cancel a request in another one. It takes the lease in the catalog, and
        each process checks every second (`Background`) whether its requests still have theirs.
        Nothing waits here for the end of the requests: the process that took the range waits
        for its lock instead (`_open_writer`).
        """
        context, leased = self._context, self._open.leased()
        for upload_id in {write.upload_id for write in leased}:
            with context.isolated(Event.BACKGROUND_FAILED, upload_id=upload_id):
                tokens = await context.catalog.tokens(upload_id)
                try:
                    # No byte is read: `head` raises if the folder is missing.
                    await context.on_thread(context.storage.head, upload_id, 0)
                except Vanished:  # the folder was removed by hand
                    await context.vanished(upload_id)
                    tokens = frozenset()
                for write in leased:
                    # A round that has just recorded has no token any more, either. It has
                    # left its scope by then, so nothing is cancelled.
                    if write.upload_id == upload_id and write.token not in tokens:
                        write.scope.cancel()


def _sync(writer: Writer) -> None:
    """Raises `Vanished` where the bytes went into a folder that was removed meanwhile.

    A file that is open can be written after it was deleted; the bytes are lost when it closes.
    """
    try:
        writer.sync()
    except FileNotFoundError:
        raise Vanished from None
