"""The verb sweep: delete what is no longer needed.

Rule 1: of an unfinished upload the record goes first, then the bytes. A client
that comes back between the two gets the answer that the upload is gone; no client is
promised bytes that are deleted.

Rule 2: bytes without a record are given an hour: they may be younger than the
record that a restored backup has.

Rule 3: an item that cannot be swept is logged, and the sweep goes on with the next one.

Rule 4: while the storage or the catalog is away, nothing is decided.

Rule 5: only what is due is asked for, a page at a time. What the catalog calls due may
turn out not to be; the upload itself decides.

Rule 6: what is removed by a record is removed under the lock of its key, and the record is read
again under it. The id of an upload with a key may come back, with another file.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from functools import partial

from wherry.catalog.pages import every_page, every_record
from wherry.core.assessment import Assessment
from wherry.core.errors import Busy, NotThere, UploadError, UploadNotFound
from wherry.core.upload import GONE, UNFINISHED, State, Upload
from wherry.engine.context import Context
from wherry.engine.leftovers import settle
from wherry.events import Event
from wherry.storage import RangeLocked, Vanished

#: How long a folder without a record is left alone, in seconds.
ORPHAN_GRACE = 3600.0
#: How many records are deleted in one commit. Each of them has a lock until then, an open file.
LOCKED_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Swept:
    """Done, or due: `expire`, `vanish`, `orphan`, `discard` or `forget`; bytes freed."""

    action: str
    upload_id: str
    bytes: int


class Sweeping:
    def __init__(self, context: Context, end: Callable[[str], Awaitable[None]]) -> None:
        """`end(upload_id)` ends the requests of this process that write into it."""
        self._context = context
        self._end = end
        self._orphans: dict[str, float] = {}  # since when this process sees them
        self._is_periodic = False

    async def sweep(self, dry_run: bool) -> list[Swept]:
        """Delete everything that is due; with `dry_run`, only list it.

        Raises `StorageFailed` while the storage is away.
        """
        return [swept async for swept in self._sweep(dry_run)]

    async def _sweep(self, dry_run: bool) -> AsyncGenerator[Swept, None]:
        await self._context.on_thread(self._context.storage.present)
        stages = (
            self._sweep_unfinished,
            self._sweep_removed,
            self._sweep_orphans,
            self._sweep_files,
            self._forget_gone,
            self._forget_complete,
        )
        for stage in stages:
            with self._apart():
                async with aclosing(stage(dry_run)) as found:
                    async for swept in found:
                        yield swept

        if not dry_run:
            now = self._context.clock()
            before = now - self._context.settings.keep_records
            with self._apart():
                await self._context.catalog.forget_deliveries(before, now)
            with self._apart():
                await self._context.catalog.forget_tickets(before)
            with self._apart():
                await self._context.catalog.forget_rates(self._context.clock())

    def _apart(self, upload_id: str = "-") -> AbstractContextManager[None]:
        return self._context.isolated(Event.SWEEP_FAILED, upload_id=upload_id)

    async def _sweep_unfinished(self, dry_run: bool) -> AsyncGenerator[Swept, None]:
        """Unfinished uploads that no client goes on with."""
        context, now = self._context, self._context.clock()
        after = context.settings.expires_after
        due = partial(context.catalog.due, UNFINISHED, now - after, now)
        async for upload in every_record(due):
            if upload.expire(now, after) is upload:
                continue
            with self._apart(upload.id):
                if dry_run or await self._expire(upload.id, now):
                    yield Swept("expire", upload.id, upload.limit)

    async def _expire(self, upload_id: str, now: float) -> bool:
        """Whether it has expired; a byte may have come meanwhile."""
        context, after = self._context, self._context.settings.expires_after
        try:
            async with context.alone(upload_id), context.locked(upload_id):
                ended = await context.catalog.update(upload_id, lambda u: u.expire(now, after))
                if ended.state is not State.EXPIRED:
                    return False
                await self._end(upload_id)
                # A crash here leaves a folder of an expired upload: the next sweep deletes it.
                await context.remove(ended)
        except Busy:  # it is being received or completed
            return False
        context.log_event(Event.EXPIRED, ended)
        return True

    async def _is_still(self, upload: Upload, held: AsyncExitStack) -> bool:
        """Whether its record is as it was read; then it stays so until the end of `held`.

        At least, no request with a key brings the upload anew.
        """
        try:
            await held.enter_async_context(self._context.alone(upload.id))
        except Busy:
            return False
        return await self._find(upload.id) == upload

    async def _sweep_removed(self, dry_run: bool) -> AsyncGenerator[Swept, None]:
        """Uploads whose folder was removed by hand."""
        context = self._context
        receiving = await context.catalog.ids({State.RECEIVING})
        for upload_id in await context.on_thread(self._without_bytes, receiving):
            with self._apart(upload_id):
                upload = await self._find(upload_id)
                if upload is None or not await context.is_removed(upload):
                    continue
                if dry_run or await self._vanish(upload):
                    yield Swept("vanish", upload_id, upload.limit)

    async def _vanish(self, upload: Upload) -> bool:
        """Whether it is still the same upload; then it ends."""
        async with AsyncExitStack() as held:
            if not await self._is_still(upload, held):
                return False
            await self._context.vanished(upload.id)
            await self._end(upload.id)
        return True

    def _without_bytes(self, upload_ids: frozenset[str]) -> list[str]:
        """Those whose bytes cannot be read, for any reason: `is_removed` finds out which."""

        def is_there(upload_id: str) -> bool:
            try:
                self._context.storage.head(upload_id, 0)
            except (Vanished, OSError):
                return False
            return True

        return sorted(id_ for id_ in upload_ids if not is_there(id_))

    async def _sweep_orphans(self, dry_run: bool) -> AsyncGenerator[Swept, None]:
        """Folders of uploads that have ended, or that the catalog does not know."""
        context = self._context
        there = await context.on_thread(lambda: dict(context.storage.unfinished()))
        unfinished = await context.catalog.ids(UNFINISHED)
        self._orphans = {id_: at for id_, at in self._orphans.items() if id_ in there}
        for upload_id, changed_at in there.items():
            if upload_id in unfinished:
                continue
            with self._apart(upload_id):
                upload = await self._find(upload_id)
                if upload is None and not self._is_orphan(upload_id, changed_at):
                    continue
                # Of one that waits, too: it may be being admitted at this moment.
                if upload is not None and upload.state in UNFINISHED:
                    continue
                if dry_run or await self._delete_orphan(upload_id):
                    yield Swept("orphan", upload_id, upload.limit if upload else 0)

    async def _delete_orphan(self, upload_id: str) -> bool:
        """Whether it was one: a process may be receiving the file in one request just now."""
        context = self._context
        try:
            async with context.alone(upload_id):
                upload = await self._find(upload_id)
                if upload is not None and upload.state in UNFINISHED:
                    return False
                if not await settle(context, upload_id):
                    if upload is not None and upload.state in GONE:
                        await context.remove(upload)
                    else:  # of a complete one, the file stays
                        await context.on_thread(context.storage.delete, upload_id)
        except (Busy, RangeLocked):
            return False
        context.log_event(Event.ORPHAN_DELETED, upload_id=upload_id)
        return True

    def _is_orphan(self, upload_id: str, changed_at: float) -> bool:
        """Whether the hour is over in which an operator may restore the record of a folder.

        Its age alone is not enough: the system's clock may have been set forward, or no server
        has run meanwhile. So a periodic sweep must also have seen it for an hour; a single sweep
        (`wherry sweep`) has only the age.
        """
        now = self._context.clock()
        seen_at = self._orphans.setdefault(upload_id, now)
        is_old = changed_at <= self._context.date() - ORPHAN_GRACE
        return is_old and (not self._is_periodic or now - seen_at >= ORPHAN_GRACE)

    async def _sweep_files(self, dry_run: bool) -> AsyncGenerator[Swept, None]:
        """Finished files that were kept long enough, and are assessed."""
        context, now, keep = self._context, self._context.clock(), self._context.settings.keep_files
        if keep is None:
            return
        async for upload in every_record(partial(context.catalog.due_files, now - keep)):
            if now < upload.active_at + keep:
                continue
            with self._apart(upload.id):
                if dry_run or await self._discard_due(upload):
                    yield Swept("discard", upload.id, upload.received.size)

    async def _discard_due(self, upload: Upload) -> bool:
        """Whether it is still the same upload; then its file is deleted."""
        async with AsyncExitStack() as held:
            if not await self._is_still(upload, held):
                return False
            await self.discard(upload)
        return True

    async def discard(self, upload: Upload) -> None:
        """Delete a finished file and the pictures made of it; its report stays.

        Raises `UploadClosed` if the upload is not complete.
        """
        context, now = self._context, self._context.clock()
        upload.discard(now)
        await context.on_thread(context.storage.discard, upload.id, upload.suffix)
        if (assessment := await self._assessment_of(upload)) is not None:
            with suppress(UploadError):  # they are no reason to keep the file
                await context.on_thread(context.storage.pictures.delete, assessment.id)
        # A crash here: gone and not recorded so; the next sweep finds nothing and records it.
        await context.catalog.update(upload.id, lambda u: u.discard(now))
        context.log_event(Event.DISCARDED, upload)

    async def _assessment_of(self, upload: Upload) -> Assessment | None:
        """Ours; None where the upload has none, or one of the host application's."""
        try:
            return await self._context.catalog.load_assessment(upload.assessment_id or "")
        except NotThere:
            return None

    async def _find(self, upload_id: str) -> Upload | None:
        try:
            return await self._context.catalog.load(upload_id)
        except UploadNotFound:
            return None

    async def _forget_gone(self, dry_run: bool) -> AsyncGenerator[Swept, None]:
        """Records of uploads that ended without a file."""
        context, now = self._context, self._context.clock()
        before = now - context.settings.keep_records
        async for page in every_page(partial(context.catalog.due, GONE, before, now)):
            old = [upload for upload in page if upload.active_at < before]
            for upload in await self._forgotten(old, dry_run):
                yield Swept("forget", upload.id, 0)

    async def _forget_complete(self, dry_run: bool) -> AsyncGenerator[Swept, None]:
        """Records of complete uploads whose file is gone for long, with their reports."""
        context, keep = self._context, self._context.settings.keep_complete_records
        if keep is None:
            return
        before = context.clock() - keep
        async for page in every_page(partial(context.catalog.due_records, before)):
            for upload in await self._forgotten(page, dry_run):
                yield Swept("forget", upload.id, 0)

    async def _forgotten(self, old: list[Upload], dry_run: bool) -> list[Upload]:
        """Those of a page whose records are deleted now, or would be."""
        if dry_run:
            return old
        context, forgotten = self._context, list[Upload]()
        for at in range(0, len(old), LOCKED_AT_ONCE):
            async with AsyncExitStack() as held:
                gone: list[str] = []
                for upload in old[at : at + LOCKED_AT_ONCE]:
                    with self._apart(upload.id):
                        if not await self._is_still(upload, held):
                            continue
                        # A crash may have left what completion had named already.
                        await context.on_thread(context.storage.discard, upload.id, upload.suffix)
                        gone.append(upload.id)
                        forgotten.append(upload)
                if gone:
                    await context.catalog.forget(gone)
        return forgotten

    async def tidy(self) -> None:
        """One sweep of many. It never raises; what fails is tried again at the next."""
        self._is_periodic = True
        with self._apart():
            async with aclosing(self._sweep(dry_run=False)) as found:
                async for _ in found:
                    pass  # it is logged already, and the list may be too long for the memory
