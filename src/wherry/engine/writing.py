"""The verb write: bytes from a body into an upload.

A body is taken in rounds, so that a crash in a body of gigabytes loses little of it: 16 MiB, or
what the client brings in a quarter of a second. Each round does the same four things:

    1. open     lock these bytes of the file, and read what is missing of them
    2. pour     body to disk, into the gaps of the range
    3. sync     the bytes survive power loss
    4. record   these bytes are received; the lock ends

While a round is synced and recorded, the next one is opened and poured. It is synced when the
record of the one before is made, so a crash loses two rounds at most. If a round fails, the next
one ends, too. The request is answered when its last round is recorded.

What has to be ruled out is that two requests write the same bytes at the same time (a client that
lost its connection sends the chunk again, while the first request still has bytes in its buffers),
and that a byte is recorded which is not on the disk.

Rule 1: bytes, then sync, then record, then the answer. A crash before the record loses what the
round brought. No other order has this: a record before the sync would, after a power cut, promise
zeros as received bytes, and no later request would ever replace them.

Rule 2: the newest request for a range wins. The client that sends a chunk again knows that the
older request is of no use to it; refusing the newer one until the older one times out would let
each lost connection cost `chunk_timeout`. The newer request ends the older one, waits until its
last write has returned, and only then writes.

Rule 3: only gaps are written. Bytes that are recorded already are read and thrown away, so a
received byte never changes, whatever a later request brings.

Rule 4: the gaps are read under the lock, and the lock is held until the record is made or refused.
So nobody else can have written, or recorded, a byte of a gap in between.

With the lock, most requests need no lease, and the record is their only commit. A lease is the
way of those that find the range taken, and of those that last (`leasing.py`). What can happen
between the steps of a request without a lease, A:

- A newer request B in this process finds A among the open ones and takes a lease. B ends A, and
  waits until A has let go. If A is recording by then, its record may come before B's lease: then B
  finds these bytes received. Or after it: then A gets `Superseded`, and B writes the gaps again.
- A newer request B in another process finds the range locked and takes a lease. If A records
  meanwhile, it gets `Superseded`. Otherwise it asks for its own lease within two seconds, is
  refused, and ends (`Leasing.end_superseded`). B waits for the lock meanwhile. If the process of A
  is stopped (SIGSTOP), B gives up after `LOCK_TIMEOUT`, gives its lease back, and its client gets
  `Busy`. When A is woken up, it may record: nobody has written into its range.
- An older request C with a lease, here or elsewhere, is there before A locks: A finds the
  lease, takes it over like every newer request, and writes when C has let go of the lock. (C may
  have died. Its lease stays until then.)
- An older request without a lease is there before A locks: A finds the range locked, as B above.
- The upload is cancelled, expires, or its completion begins: A's record is refused by the state
  of the upload. Cancelling and expiry end A at once in this process, and within two seconds in
  another one. A completion begins only where nothing is missing, so A writes nothing into it.
- The turn or the slot of the upload ends, or its time until it expires: A begins only if
  that is `UNLEASED` seconds away, and has a lease long before. Only a process that is stopped
  in its first second, and for longer than that, can find its upload expired.
- The folder of the upload is removed: the sync finds out (`Vanished`).
- The process dies: the lock ends with it, and nothing is recorded.

A later round of a long body does the same again. The first round has taken the leases of all bytes
that the request brings, so a request that a later round meets came after it. If a later round finds
a lease or a lock, it is superseded, and takes nothing from the other request.

Where ranges cannot be locked (`Capabilities.locks_ranges`), every round takes a lease, and can
record only while it has it. It takes it while the round before is synced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import count

import anyio

from wherry.body import Body, Ended
from wherry.core.errors import (
    BadRequest,
    BodyCut,
    BodyStalled,
    Busy,
    Stopping,
    Superseded,
    UploadError,
)
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range
from wherry.core.requests import Caller, Write
from wherry.core.upload import Upload
from wherry.engine.admitting import Admitting
from wherry.engine.context import Context
from wherry.engine.file_types import FileTypes
from wherry.engine.leasing import Leasing
from wherry.engine.openwrites import OpenWrite, OpenWrites
from wherry.engine.round import Round, SteppedAside
from wherry.events import Event
from wherry.storage import RangeLocked, Vanished
from wherry.threads import until_over, until_resolved, until_returned

#: How many bytes one round takes. More of them would cost a crash more, fewer of them
#: would spend more time on syncs and records. A fast client is sooner back where it was, so
#: its rounds may be longer: what it brings in `RECORD_SECONDS`, at most `RECORD_MOST`.
RECORD_EVERY, RECORD_MOST, RECORD_SECONDS = 16 * MiB, 64 * MiB, 0.25
#: A body of at most so many bytes is gathered in memory, and written in one trip to a thread.
AT_ONCE = 256 * KiB
#: How long it is gathered, in seconds. The bytes of a slow client are poured as they come.
GATHER_FOR = 0.25
#: How long a request waits for another process to leave its range, in seconds.
LOCK_TIMEOUT = 10.0
#: How often it tries again meanwhile, in seconds.
POLL_INTERVAL = 0.05


class Writing:
    def __init__(self, context: Context, file_types: FileTypes, admitting: Admitting) -> None:
        self._context = context
        self._file_types = file_types
        self._open = OpenWrites()
        self._leasing = Leasing(context, admitting, self._open)
        self._numbers = count()

    async def write(
        self, caller: Caller, write: Write, body: Body, *, is_limited: bool = True
    ) -> Upload:
        """The upload with what the body brought. Raises as `Engine.write` does.

        `is_limited`: whether `min_chunk` and `max_chunk` hold for the size of the body.
        """
        if not body.remaining:
            raise BadRequest("body", "is empty")
        start = begin = write.offset
        announced, number = body.remaining, next(self._numbers)
        every = RECORD_EVERY
        before: OpenWrite | None = None
        earlier: asyncio.Task[Upload] | None = None
        try:
            while True:
                # A digest says something about the whole body, and can be checked only at its
                # end. What is recorded is never taken back, so nothing is recorded before that.
                size = body.remaining
                if size > every and not write.digest:
                    size = await self._round_end(write.upload_id, begin, every) - begin
                mine = OpenWrite(
                    caller,
                    write.upload_id,
                    range=Range(begin, begin + size),
                    whole=Range(begin, begin + body.remaining),
                    token=self._context.new_id(),
                    number=number,
                    begun=anyio.current_time(),
                    earlier=before,
                    is_first=begin == start,
                    is_limited=is_limited,
                )
                round_ = Round(self._context, self._file_types, mine, write)
                await self._open_and_fill(round_, body, earlier)
                is_over = round_.is_gathered or not body.remaining
                if is_over or round_.ended is not Ended.WHOLE:
                    break
                # The next bytes come while these are synced.
                earlier = asyncio.ensure_future(self._record(round_))
                begin, before = round_.at, mine
                every = _size_of_next(size, anyio.current_time() - mine.begun)
            upload = await self._record(round_)
        except Superseded:
            # A round can be ended from outside for three reasons, each with an error of its own.
            # The server stops (`end_all`), before a byte was written.
            if self._context.is_stopping():
                raise Stopping from None
            # The upload was cancelled, has expired or was removed (`end`). This raises.
            (await self._context.catalog.load(write.upload_id)).check_receiving()
            # A newer request, here or in another process, has the range.
            raise
        except Vanished:
            raise await self._context.vanished(write.upload_id) from None
        except OSError as error:
            raise self._context.as_upload_error(error) from error
        if round_.ended is not Ended.WHOLE:
            raise self._cut(upload, round_, start, announced)
        return upload

    async def _round_end(self, upload_id: str, begin: int, every: int) -> int:
        """Where a round ends that is not the last one: where a part of storage ends, if it can."""
        if (parts := self._context.storage.parts) is None:
            return begin + every
        return await self._context.on_thread(parts.round_end, upload_id, begin, every)

    def _cut(self, upload: Upload, last: Round, start: int, announced: int) -> UploadError:
        """Log that a body from `start` on has ended early. Returns the error to raise."""
        context, received = self._context, last.at - start
        context.log_event(Event.CUT, upload, at=last.at, received=received, announced=announced)
        if last.mine.is_stopped:
            return Stopping()
        if last.ended is Ended.STALLED:
            return BodyStalled(received, context.settings.chunk_timeout)
        return BodyCut(received, announced)

    async def _open_and_fill(
        self, round_: Round, body: Body, earlier: asyncio.Task[Upload] | None
    ) -> None:
        """The first half of a round, while the `earlier` one is synced and recorded.

        When it returns, that one is recorded. Raises what that one raises; then this round is
        ended, too.
        """
        self._open.add(round_.mine)
        try:
            if earlier is not None:
                earlier.add_done_callback(partial(_end_if_failed, round_.mine))
            try:
                await self._fill(round_, body)
            except Superseded:
                if earlier is None or not _has_failed(earlier):
                    raise
            finally:
                if earlier is not None:
                    await until_over(earlier)
            if earlier is not None:
                earlier.result()
        except BaseException:
            await self._let_go(round_)
            raise

    async def _record(self, round_: Round) -> Upload:
        """The second half of a round: sync and record. The upload after it."""
        context, mine = self._context, round_.mine
        try:
            upload = await self._recorded(round_)
        except BaseException:
            await self._let_go(round_)
            raise
        mine.is_recorded = True
        self._open.remove(mine)
        if round_.received:
            seconds, at = context.clock() - round_.begun, mine.range.start
            received = round_.received
            context.log_event(Event.RECORDED, upload, at=at, received=received, seconds=seconds)
        return upload

    async def _let_go(self, round_: Round) -> None:
        """The end of a round that has recorded nothing."""
        try:
            await self._give_back(round_)
        finally:
            self._open.remove(round_.mine)

    async def _give_back(self, round_: Round) -> None:
        """Let go of the range and of its lease, also when the task is cancelled."""
        try:
            with anyio.CancelScope(shield=True):
                await until_returned(round_.close)
        finally:
            if round_.mine.has_lease:
                await self._leasing.release(round_.mine)

    async def _fill(self, round_: Round, body: Body) -> None:
        """Open and pour; of a body that was gathered, also sync and record."""
        mine = round_.mine
        opening: asyncio.Task[None] | None = None

        def open_meanwhile() -> None:
            nonlocal opening
            opening = asyncio.ensure_future(self._open_range(round_))
            opening.add_done_callback(stop_if_refused)

        def stop_if_refused(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and done.exception() is not None:
                mine.scope.cancel()

        # What others can cut off is the waiting for the client and for the lock. A write to the
        # disk is never cut off: a cancelled `pour` returns only when the thread with the write
        # has returned.
        try:
            with mine.scope:
                if round_.is_only and len(mine.whole) <= AT_ONCE:
                    # A slow client is not waited for without a lock, and later a lease.
                    late = asyncio.get_running_loop().call_later(GATHER_FOR, open_meanwhile)
                    try:
                        pieces = await body.gather(AT_ONCE)
                    finally:
                        late.cancel()
                    if opening is None and await self._at_once(round_, pieces):
                        return
                if opening is None:
                    await self._open_and_pour(round_, body)
                else:
                    await opening
                    round_.ended = await body.pour(round_, len(mine.range))
        finally:
            if opening is not None:
                opening.cancel()
                await until_over(opening)  # what a thread opens, this round has to close
        if opening is not None and not opening.cancelled() and (refusal := opening.exception()):
            raise refusal
        # What the last byte has brought on its way is not stopped any more.
        if mine.scope.cancelled_caught and round_.recorded is None:
            # When the server stops, what came is recorded. The record is refused if another
            # request has taken the range meanwhile.
            if not (mine.is_stopped and mine.is_open):
                raise Superseded
            round_.ended = Ended.CUT

    async def _at_once(self, round_: Round, pieces: Sequence[memoryview] | None) -> bool:
        """Write and record the whole of a body; False if that takes a lease."""
        # The length of a body may be an estimate (`bodies/form.py`).
        is_exact = pieces is not None and sum(map(len, pieces)) == len(round_.mine.range)
        if pieces is None or not is_exact or not self._may_go_unleased(round_.mine):
            return False
        try:
            await until_resolved(partial(round_.take, pieces))
        except SteppedAside:
            return False
        return True

    def _may_go_unleased(self, mine: OpenWrite) -> bool:
        # An older request in this process has to be ended first, and nobody but the owner of
        # the upload may do that. The lease finds out who asks.
        return self._context.storage.capabilities.locks_ranges and not self._open.older(mine)

    async def _open_and_pour(self, round_: Round, body: Body) -> None:
        mine = round_.mine
        if self._may_go_unleased(mine):
            with suppress(SteppedAside):
                # The thread that opens goes on with the bytes.
                first = round_.open_without_lease
                round_.ended = await body.pour(round_, len(mine.range), first)
        if not mine.is_open:  # or the body has ended before
            await self._leasing.lease(mine)
            await self._open_with_lease(round_)
            round_.ended = await body.pour(round_, len(mine.range))

    async def _open_range(self, round_: Round) -> None:
        if self._may_go_unleased(round_.mine):
            with suppress(SteppedAside):
                await until_returned(round_.open_without_lease)
                return
        await self._leasing.lease(round_.mine)
        await self._open_with_lease(round_)

    async def _open_with_lease(self, round_: Round) -> None:
        """Open a range for a request that has a lease of it, when the other request has left it.

        That one has lost its lease, or finds this one when it asks for its own, and leaves within
        two seconds (`Leasing.end_superseded`). Raises `Busy` if it does not.
        """
        give_up = anyio.current_time() + LOCK_TIMEOUT
        while True:
            try:
                return await until_returned(round_.open_with_lease)
            except RangeLocked:
                if anyio.current_time() > give_up:
                    raise Busy("writing these bytes") from None
            await anyio.sleep(POLL_INTERVAL)

    async def _recorded(self, round_: Round) -> Upload:
        """The upload, when what came is safe and recorded; also if the client goes away now."""
        if round_.recorded is None:
            return await until_resolved(round_.finish)
        if round_.recorded.done():
            return round_.recorded.result()
        return await _resolved(round_.recorded)

    async def end(self, upload_id: str) -> None:
        """End every request that writes into this upload, and wait until they have ended."""
        await self._open.end(upload_id)

    async def end_all(self) -> None:
        """End every request: the server stops. What has arrived of them is recorded."""
        await self._open.end_all()

    async def end_superseded(self) -> None:
        """As `Leasing.end_superseded`; `Background` calls it each second."""
        await self._leasing.end_superseded()

    async def keep_active(self) -> None:
        """As `Leasing.keep_active`; `Background` calls it each second."""
        await self._leasing.keep_active()


def _size_of_next(size: int, seconds: float) -> int:
    """How many bytes the next round takes, after one of `size` bytes that took `seconds`."""
    in_time = size * RECORD_SECONDS / max(seconds, 0.001)
    return max(RECORD_EVERY, min(RECORD_MOST, int(in_time)))


def _end_if_failed(mine: OpenWrite, earlier: asyncio.Task[Upload]) -> None:
    if _has_failed(earlier):
        mine.scope.cancel()


def _has_failed(earlier: asyncio.Task[Upload]) -> bool:
    return earlier.done() and (earlier.cancelled() or earlier.exception() is not None)


async def _resolved(recorded: Future[Upload]) -> Upload:
    waiting = asyncio.wrap_future(recorded)
    await until_over(waiting)
    return waiting.result()
