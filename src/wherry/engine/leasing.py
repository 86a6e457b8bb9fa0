"""The leases of requests that write: who asks for one, and what depends on it.

A lease is a record, so it costs a commit, and a request that is over in a moment goes without
one (`writing.py`). A lease does three things that a lock of the file's range does not:

- It shows that bytes are on their way, so that the upload neither expires nor loses its slot
  or its turn (`Upload.forfeit`). A request without a lease begins only where nothing of that is
  near (`UploadFacts.needs_no_lease`).
- It ends an older request in another process, which cannot be cancelled from here. That one
  finds a foreign lease when it records, and before that in `end_superseded`.
- It keeps two requests apart where ranges of a file cannot be locked.

Rule 1: a request that lasts longer than `LEASE_AFTER` gets a lease, so whatever happens to
leases happens to it. It takes none from another request: which of them is newer, only the one
knows that takes a lease as it begins.

Rule 2: the first round of a request takes the leases of all bytes that the request will bring, also
from requests whose process has died. Later rounds take none. A later round gets a lease only while
the round before it still has its own, or when that one is recorded. Otherwise an older request that
has lost its range would lease the bytes after it, and end a later round of the newer one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import anyio

from wherry.core.errors import (
    Superseded,
    TooFragmented,
    UploadClosed,
    UploadError,
    UploadGone,
    UploadNotFound,
)
from wherry.core.upload import Upload
from wherry.engine.admitting import Admitting
from wherry.engine.context import Context
from wherry.engine.openwrites import OpenWrite, OpenWrites
from wherry.events import Event
from wherry.threads import until_returned

#: For how long a round goes without a lease, in seconds; looked at once a second (`Background`).
LEASE_AFTER = 0.5


class Leasing:
    def __init__(self, context: Context, admitting: Admitting, open_writes: OpenWrites) -> None:
        self._context = context
        self._admitting = admitting
        self._open = open_writes

    async def lease(self, mine: OpenWrite) -> None:
        """Take the range, and end the older requests that have it."""
        earlier, is_leased = mine.earlier, False
        if earlier is not None:  # rule 2
            is_leased = earlier.has_lease and await self._is_leased_after(mine, earlier)
            if not is_leased:
                await earlier.over.wait()
                if not earlier.is_recorded:
                    raise Superseded
        # Nothing waits between `OpenWrites.add` and this, if a new request asks for a lease at
        # once. The catalog applies changes in the order in which they are asked for, so of
        # two such requests the newer one takes the range from the older one in the catalog,
        # and ends it here. (Others may ask in another order. There the older request may
        # lease last, and both end with `Superseded`: the client sends the chunk again.)
        if not is_leased:
            await self._lease(mine)
        # In this process, wait for the end of older requests; requests in other processes
        # are kept out by the lock.
        await self._open.end_older(mine)

    async def _is_leased_after(self, mine: OpenWrite, earlier: OpenWrite) -> bool:
        """Take the range, or return False if the `earlier` round has no lease any more."""
        try:
            await self._lease(mine, earlier)
        except Superseded:  # the earlier one may just have been recorded
            return False
        return True

    async def _lease(self, mine: OpenWrite, after: OpenWrite | None = None) -> None:
        """Take the range in the catalog. An upload without a slot asks for one again.

        The checks and the lease are one transaction, so no other request comes between them.
        `after`: as `Upload.lease` has it.
        """
        context, now = self._context, self._context.clock()
        limits = context.limits

        def lease(upload: Upload) -> Upload:
            mine.check(upload, limits)
            # A later round of this request is not newer than a request that came since the
            # first round. If it were, the two would take the range from each other for ever.
            kept = upload.keep_slot(now, limits)
            return kept.lease(
                mine.range,
                mine.token,
                now,
                whole=mine.whole,
                is_newest=mine.is_first,
                after=after.token if after is not None else None,
            )

        try:
            with anyio.CancelScope(shield=True):  # what is cut off may be recorded all the same
                await self._admitting.with_slot(mine.upload_id, now, lease)
        except UploadError:
            raise  # a refusal: there is nothing to give back
        except BaseException:
            # The client went away and this task was cancelled, while the catalog may have
            # recorded the lease all the same.
            await self.release(mine)
            raise
        mine.has_lease, mine.kept_at = True, now

    async def release(self, mine: OpenWrite) -> None:
        """Give the lease back, also when the task is cancelled."""
        with anyio.CancelScope(shield=True):
            try:
                await self._context.catalog.update(mine.upload_id, lambda u: u.release(mine.token))
            except UploadError as error:
                self._context.log_event(
                    Event.NOT_RELEASED, upload_id=mine.upload_id, code=error.code
                )

    # Each second, for the requests of this process.

    async def end_superseded(self) -> None:
        """End requests whose range another process has taken, or whose upload is gone.

        A process cannot cancel a request in another one. It takes the lease in the catalog, and
        each process checks every second (`Background`) whether its requests still have theirs.
        Nothing waits here for the end of the requests: the process that took the range waits
        for its lock instead.
        """
        await self._lease_those_that_last()
        leased = [write for write in self._open.all() if write.has_lease]
        if not leased:
            return
        context = self._context
        # One question about all: with a thousand slow clients, one for each would be a load.
        ids = {write.upload_id for write in leased}
        tokens = await until_returned(lambda: context.catalog.tokens(ids))
        for write in leased:
            if write.token not in tokens:
                # A round that has just recorded has no token any more, either. Cancelling it
                # changes nothing: its record counts.
                write.scope.cancel()
        ids = {write.upload_id for write in leased if write.token in tokens}
        try:
            vanished = await until_returned(lambda: context.storage.vanished(ids))
        except OSError as error:
            raise context.as_upload_error(error) from error
        for upload_id in vanished:  # the folder was removed by hand
            with context.isolated(Event.BACKGROUND_FAILED, upload_id=upload_id):
                await context.vanished(upload_id)
                for write in leased:
                    if write.upload_id == upload_id:
                        write.scope.cancel()

    async def _lease_those_that_last(self) -> None:
        """Rule 1. All at once, so that they share commits."""
        since = anyio.current_time() - LEASE_AFTER
        lasting = [
            write
            for write in self._open.all()
            if write.is_open
            and write.begun <= since
            and not write.has_lease
            and (write.earlier is None or write.earlier.over.is_set())
        ]
        await asyncio.gather(*map(self._lease_late, lasting))

    async def _lease_late(self, write: OpenWrite) -> None:
        context, now = self._context, self._context.clock()
        limits = context.limits

        def lease(upload: Upload) -> Upload:
            kept = upload.keep_slot(now, limits)
            return kept.lease(write.range, write.token, now, is_newest=False)

        with context.isolated(Event.BACKGROUND_FAILED, upload_id=write.upload_id):
            with write.asking:
                if write.is_recording:
                    return  # the record would not end a lease that comes after it
                leased = context.catalog.submit_update(write.upload_id, lease)
            try:
                await asyncio.wrap_future(leased)
            except (Superseded, UploadClosed, UploadGone, UploadNotFound):
                # A newer request has the range, or the upload has ended.
                write.scope.cancel()
                return
            except TooFragmented:
                return  # its record decides: it may join parts by then
            write.has_lease, write.kept_at = True, now
            if write.over.is_set():  # it failed meanwhile, and has recorded nothing
                await self.release(write)

    async def keep_active(self) -> None:
        """Renew the slots of uploads whose requests run, and put off their expiry.

        `Background` calls this each second. A request counts as activity also when nothing is
        recorded for a long time: its body may come slowly, and it has a time limit of its own
        (`chunk_timeout`).
        """
        now, settings = self._context.clock(), self._context.settings
        # Well before the slot ends or the upload expires, and not each second: it is a commit.
        due = now - min(settings.slot_idle / 2, settings.expires_after / 4)
        leased = [write for write in self._open.all() if write.has_lease]
        # A `kept_at` after `now` is of a clock that was set back, and says nothing.
        for write in [w for w in leased if not due < w.kept_at <= now]:
            await self._keep_one_active(write, now)

    async def _keep_one_active(self, write: OpenWrite, now: float) -> None:
        write.kept_at = now
        limits = self._context.limits
        with suppress(UploadError):  # the upload has ended, and `end` ends the request
            await self._context.catalog.update(
                write.upload_id, lambda u: u.touch(write.token, now).keep_slot(now, limits)
            )
