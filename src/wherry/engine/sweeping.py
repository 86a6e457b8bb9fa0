"""The verb sweep: what nobody comes back for is deleted.

Rule 1: of an unfinished upload the record goes first, then the bytes. A client
that comes back between the two is told that it is gone; none is ever promised
bytes that are deleted.

Rule 2: bytes without a record are given an hour: they may be younger than the
record that a restored backup has.

Rule 3: one thing that cannot be swept is told, and keeps nothing else from being swept.

Rule 4: while the storage or the catalog is away, nothing is decided.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from shutil import rmtree

from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.errors import NotThere, UploadNotFound
from wherry.core.upload import GONE, UNFINISHED, State, Upload
from wherry.engine.ground import Ground

#: An assessment in one of these states needs its file no more.
ENDED = (AssessmentState.DONE, AssessmentState.FAILED)
#: How long a folder without a record is left alone, in seconds.
ORPHAN_GRACE = 3600.0


@dataclass(frozen=True, slots=True)
class Swept:
    """Done, or due: `expire`, `vanish`, `orphan`, `discard` or `forget`; bytes freed."""

    action: str
    upload_id: str
    bytes: int


class Sweeping:
    def __init__(self, ground: Ground, end: Callable[[str], Awaitable[None]]) -> None:
        """`end(upload_id)` ends the requests of this process that write into it."""
        self._ground = ground
        self._end = end
        self._orphans: dict[str, float] = {}  # since when a process that goes on sweeping sees them

    async def sweep(self, dry_run: bool, goes_on: bool = False) -> list[Swept]:
        """Everything that is due; with `dry_run`, only said. `goes_on`: it is done regularly.

        Raises `StorageFailed` while the storage is away.
        """
        await self._ground.on_thread(self._ground.storage.present)
        # Finished ones are many, and only looked at where they are deleted one day.
        states = set(State) if self._ground.settings.keep_files else set(State) - {State.COMPLETE}
        listed = self._ground.every(partial(self._ground.catalog.uploads, states, None))
        records = {upload.id: upload async for upload in listed}
        swept: list[Swept] = []
        for upload in records.values():
            with self._apart(upload.id):
                swept += await self._sweep_upload(upload, dry_run)
        with self._apart():
            swept += await self._sweep_orphans(records, dry_run, goes_on)
        with self._apart():
            swept += await self._forget(records, dry_run)
        return swept

    def _apart(self, upload_id: str = "-") -> AbstractContextManager[None]:
        return self._ground.apart("sweep-failed", upload_id=upload_id)

    async def _sweep_upload(self, upload: Upload, dry_run: bool) -> list[Swept]:
        ground, now = self._ground, self._ground.clock()
        after = ground.settings.expires_after
        if upload.expire(now, after) is not upload:
            if not dry_run:
                ended = await ground.catalog.update(upload.id, lambda u: u.expire(now, after))
                if ended.state is not State.EXPIRED:
                    return []
                await self._end(upload.id)
                # A crash here leaves a folder of an expired upload: the next sweep deletes it.
                await ground.on_thread(ground.storage.delete, upload.id)
                await ground.on_thread(ground.storage.discard, upload.id, upload.suffix)
                self._ground.say("expired", ended)
            return [Swept("expire", upload.id, upload.limit)]
        if await ground.is_removed(upload):
            if not dry_run:
                await ground.vanished(upload.id)
                await self._end(upload.id)
            return [Swept("vanish", upload.id, upload.limit)]
        if await self._is_kept_long_enough(upload, now):
            if not dry_run:
                await self.discard(upload)
            return [Swept("discard", upload.id, upload.received.size)]
        return []

    async def _is_kept_long_enough(self, upload: Upload, now: float) -> bool:
        keep = self._ground.settings.keep_files
        if keep is None or not upload.is_complete() or upload.discarded_at is not None:
            return False
        if now < upload.active_at + keep:
            return False
        assessment = await self._assessment_of(upload)
        return assessment is None or assessment.state in ENDED

    async def _assessment_of(self, upload: Upload) -> Assessment | None:
        """Ours; None where the upload has none, or one of the host application's."""
        try:
            return await self._ground.catalog.load_assessment(upload.assessment_id or "")
        except NotThere:
            return None

    async def discard(self, upload: Upload) -> None:
        """Delete a finished file and the pictures made of it; its report stays.

        Raises `UploadClosed` if the upload is not complete.
        """
        ground, now = self._ground, self._ground.clock()
        upload.discard(now)
        await ground.on_thread(ground.storage.discard, upload.id, upload.suffix)
        if (assessment := await self._assessment_of(upload)) is not None:
            pictures = ground.settings.pictures_of(assessment.id)
            await ground.on_thread(rmtree, pictures, ignore_errors=True)
        # A crash here: gone and not recorded so; the next sweep finds nothing and records it.
        await ground.catalog.update(upload.id, lambda u: u.discard(now))
        self._ground.say("discarded", upload)

    async def _sweep_orphans(
        self, records: dict[str, Upload], dry_run: bool, goes_on: bool
    ) -> list[Swept]:
        ground, swept = self._ground, []
        found = await ground.on_thread(lambda: dict(ground.storage.unfinished()))
        self._orphans = {id_: at for id_, at in self._orphans.items() if id_ in found}
        for upload_id, changed_at in found.items():
            with self._apart(upload_id):
                upload = records.get(upload_id) or await self._find(upload_id)
                if upload is None and not self._is_orphan(upload_id, changed_at, goes_on):
                    continue
                # Of one that waits, too: somebody may be letting it in at this moment.
                if upload is not None and upload.state in UNFINISHED:
                    continue
                if not dry_run:
                    await ground.on_thread(ground.storage.delete, upload_id)
                    self._ground.say("orphan-deleted", upload_id=upload_id)
                swept.append(Swept("orphan", upload_id, upload.limit if upload else 0))
        return swept

    def _is_orphan(self, upload_id: str, changed_at: float, goes_on: bool) -> bool:
        """Whether the hour is over in which somebody may restore the record of a folder.

        Its age alone does not tell: the system's clock may have been set forward, or no
        server have run meanwhile. Who sweeps only once has nothing else.
        """
        now = self._ground.clock()
        seen_at = self._orphans.setdefault(upload_id, now)
        is_old = changed_at <= self._ground.date() - ORPHAN_GRACE
        return is_old and (not goes_on or now - seen_at >= ORPHAN_GRACE)

    async def _find(self, upload_id: str) -> Upload | None:
        try:
            return await self._ground.catalog.load(upload_id)
        except UploadNotFound:
            return None

    async def _forget(self, records: dict[str, Upload], dry_run: bool) -> list[Swept]:
        due = self._ground.clock() - self._ground.settings.keep_records
        old = [u for u in records.values() if u.state in GONE and u.active_at < due]
        if dry_run:
            return [Swept("forget", upload.id, 0) for upload in old]
        freed = []
        for upload in old:  # a crash may have left what completion had named already
            with self._apart(upload.id):
                discard = self._ground.storage.discard
                await self._ground.on_thread(discard, upload.id, upload.suffix)
                freed.append(upload.id)
        if freed:
            await self._ground.catalog.forget(freed)
        return [Swept("forget", upload_id, 0) for upload_id in freed]

    async def tidy(self) -> None:
        """One sweep that never raises; what fails is tried again at the next."""
        with self._apart():
            await self.sweep(dry_run=False, goes_on=True)
