"""The upload engine: one method for each thing a client may ask.

Rule 1: bytes before records. The catalog never claims a byte that storage has
not made safe, so a crash at any line can only lose work, never tell a lie.

Rule 2: decisions are `Upload`'s; the engine only puts them in order.

Rule 3: every verb takes the caller, and every protocol goes through here: an
owner check, a limit, a state rule is written once and holds for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import anyio

from wherry.body import Body
from wherry.core.admission import Space, check_fits_ever
from wherry.core.assessment import Assessment
from wherry.core.digests import Digest
from wherry.core.errors import InLine, NoRoom, NotThere, TypeRefused, UploadError
from wherry.core.pages import FIRST_PAGE, Page, PageRequest
from wherry.core.requests import Caller, Create, Write
from wherry.core.rights import latest
from wherry.core.upload import State, Upload
from wherry.core.worker import Worker
from wherry.engine.admitting import Admitting
from wherry.engine.completing import Completing
from wherry.engine.content import Content
from wherry.engine.context import Context
from wherry.engine.finished import FinishedFile, NoLocalPath
from wherry.engine.hooks import BeforeComplete, Hooks, OnComplete
from wherry.engine.sweeping import Sweeping, Swept
from wherry.engine.watching import Watching
from wherry.engine.writing import Writing
from wherry.events import Event
from wherry.storage import Stat, StoredFile

__all__ = [
    "BeforeComplete",
    "Context",
    "Engine",
    "FinishedFile",
    "Hooks",
    "NoLocalPath",
    "OnComplete",
    "Stat",
    "StorageFacts",
    "StoredFile",
    "Swept",
]

#: How often is looked whether another process took a range, in seconds.
WATCH_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """Bytes: the volume's total and free, reserved by unfinished uploads, used by all files.

    `open` and `waiting` count uploads.
    """

    total: int
    free: int
    reserved: int
    used: int
    open: int
    waiting: int


class Engine:
    def __init__(self, context: Context, hooks: Hooks | None = None) -> None:
        self._context = context
        self.settings = context.settings
        self._content = Content(context)
        self._admitting = Admitting(context)
        self._writing = Writing(context, self._content, self._admitting)
        self._completing = Completing(context, self._content, hooks or Hooks())
        self._sweeping = Sweeping(context, self._writing.end)
        self._watching = Watching(context, self._admitting)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """What every process does beside requests: watch leases, the line, completions."""
        try:
            async with self._beside(WATCH_EVERY, self._watch):
                yield
        finally:  # nobody takes up any more what this gives back
            await self._completing.stop()

    @asynccontextmanager
    async def sweeping(self) -> AsyncIterator[None]:
        """What one process does for all: delete what is due, again and again."""
        async with self._beside(self.settings.sweep_every, self._sweeping.tidy):
            yield

    async def _watch(self) -> None:
        isolated = self._context.isolated
        if self.is_stopping:
            await self._writing.end_all()
        with isolated(Event.BACKGROUND_FAILED, task="end superseded requests"):
            await self._writing.end_superseded()
        with isolated(Event.BACKGROUND_FAILED, task="keep what is active"):
            await self._writing.keep_active()
        with isolated(Event.BACKGROUND_FAILED, task="take up completions"):
            await self._completing.take_up()
        with isolated(Event.BACKGROUND_FAILED, task="advance the line"):
            await self.advance()

    # Verbs.

    async def create(self, caller: Caller, create: Create) -> tuple[Upload, bool]:
        """A new upload with its space reserved, or the caller's open one for the same file.

        The second value tells which: True for a new one. Where there is no room, it waits
        (`State.WAITING`): `with_position` tells its place in the line.

        Raises `BadRequest`, `LengthRequired`, `TooLarge`, `NeverFits`, `NoRoom`, `StorageFailed`.
        """
        return await self._create(self._context.new_id(), caller, create, may_wait=True)

    async def _create(
        self, upload_id: str, caller: Caller, create: Create, may_wait: bool
    ) -> tuple[Upload, bool]:
        create = create.checked()
        context, limits, now = self._context, self.settings.limits, self._context.clock()
        limit = create.length if create.length is not None else create.at_most
        if limit is None:
            raise ValueError("either length or at_most is needed")
        check_fits_ever(limit, limits, await context.on_thread(context.storage.space))
        wanted = Upload(
            id=upload_id,
            owner=caller.owner,
            filename=create.filename,
            limit=limit,
            length=create.length,
            chunk_size=limits.cut(create.chunk_size, create.most_chunk),
            created_at=now,
            content_type=create.content_type,
            fingerprint=create.fingerprint,
            digest=create.digest,
            metadata=create.metadata,
            state=State.WAITING,
            queued_at=now,
            began_at=now,
        )
        # A crash from here on: it stands in the line, and is let in or not as any other.
        upload = await context.catalog.create(wanted)
        is_new = upload.id == wanted.id
        if not is_new and create.digest is not None:
            upload = await context.catalog.update(
                upload.id, lambda u: u.announce_digest(create.digest)
            )
        if upload.state is State.WAITING:
            upload = await self._admitting.enter(upload.id)
            try:
                self._admitting.check_place(upload.id)
                if is_new and upload.state is State.WAITING:
                    await self._check_line(upload, limits.max_waiting if may_wait else 0)
            except UploadError:
                if is_new:
                    await self._forget(caller, upload)
                raise
        state, received = upload.state.value, upload.received.size
        event = Event.CREATED if is_new else Event.RESUMED
        context.log_event(event, upload, state=state, received=received)
        return upload, is_new

    async def _check_line(self, upload: Upload, most: int | None) -> None:
        """Raises `NoRoom` where the line is longer than `most`."""
        position = await self._admitting.position(upload.id)
        if most is not None and position is not None and position > most:
            raise NoRoom

    async def _forget(self, caller: Caller, upload: Upload) -> None:
        """A new one that nobody was told of is as if it had never been there."""
        with anyio.CancelScope(shield=True):
            await self.cancel(caller, upload.id)
            await self._context.catalog.forget([upload.id])

    async def write(self, caller: Caller, write: Write, body: Body) -> Upload:
        """Take in a body's bytes; the upload with them recorded.

        Raises `UploadNotFound`, `UploadClosed`, `UploadGone`, `BadRequest`, `RangeOutside`,
        `ChunkTooSmall`, `TooLarge`, `InLine` before a byte is read; `BodyCut`, `BodyStalled`
        with what arrived recorded; `DigestMismatch`, `Superseded`, `Busy`, `DiskFull`,
        `StorageFailed`, `TooFragmented` with nothing of this request recorded; `TypeRefused`
        with the upload deleted; `UploadGone` as soon as it is cancelled, expired or removed.
        """
        try:
            return await self._writing.write(caller, write, body)
        except InLine:
            raise await self._admitting.refusal(write.upload_id) from None
        except TypeRefused as error:
            upload = await self._context.catalog.load(write.upload_id)
            await self._content.refuse(upload, error)
            raise

    async def status(self, caller: Caller, upload_id: str) -> Upload:
        """The upload as it is; never waits for a request that writes into it."""
        upload = await self._context.load(caller, upload_id)
        if await self._context.is_removed(upload):
            await self._context.vanished(upload_id)
            await self._writing.end(upload_id)
            upload = await self._context.load(caller, upload_id)
        return upload

    async def with_position(self, upload: Upload) -> tuple[Upload, int | None]:
        """The upload and its place in the line; as it is by now, if it has just left it."""
        while upload.queued_at is not None:
            position = await self._admitting.position(upload.id)
            if position is not None:
                return upload, position
            upload = await self._context.catalog.load(upload.id)
        return upload, None

    async def positions(self, uploads: Collection[Upload]) -> Mapping[str, int]:
        """The places in the line of those that stand in it; 1 is next."""
        if all(upload.queued_at is None for upload in uploads):
            return {}
        return await self._admitting.positions()

    async def advance(self) -> None:
        """Let in whoever's turn it is; `running` does so each second."""
        await self._admitting.advance()

    async def complete(
        self, caller: Caller, upload_id: str, digest: Digest | None = None
    ) -> Upload:
        """Hand the file over, once; asked again, the same answer.

        Still `completing` after `answer_within` seconds, it goes on and is returned as it is.
        Raises `BytesMissing`, `FileDigestMismatch`, `TypeRefused`, `ContentRefused` (deleted),
        `DigestDiffers` (the file is safe), `HookFailed`, `HookEndsServer`, `Busy`, `InLine`,
        `UploadNotFound`, `UploadClosed`, `UploadGone`.
        """
        try:
            return await self._completing.complete(caller, upload_id, digest)
        except InLine:
            raise await self._admitting.refusal(upload_id) from None

    async def cancel(self, caller: Caller, upload_id: str) -> Upload:
        """Give the upload up: its space is free on return. Asked again, the same.

        Raises `UploadNotFound`, `UploadClosed` (complete), `Busy` (being completed).
        """
        before = await self._context.load(caller, upload_id)
        if before.state is State.COMPLETING:
            return await self._cancel_completing(before)
        if before.state is not State.WAITING:
            return await self._cancel(before)
        async with self._admitting.alone():  # it may be being let in at this moment
            return await self._cancel(before)

    async def _cancel_completing(self, before: Upload) -> Upload:
        """Whoever completes it may be in a hook, also when its lease has run out."""
        async with self._context.claimed(before.id):
            return await self._cancel(before)

    async def _cancel(self, before: Upload) -> Upload:
        context, now, upload_id = self._context, self._context.clock(), before.id
        until = latest(now, self.settings.completion_lease)
        upload = await context.catalog.update(upload_id, lambda u: u.cancel(now, until))
        await self._writing.end(upload_id)
        # A crash here leaves the folder of a cancelled upload: the sweep deletes it.
        await context.on_thread(context.storage.delete, upload_id)
        await context.on_thread(context.storage.discard, upload_id, upload.suffix)
        if before.state is not upload.state:
            self._context.log_event(Event.CANCELLED, upload)
        return upload

    async def receive(self, caller: Caller, create: Create, body: Body) -> Upload:
        """One whole file in one request; if that fails, nothing of it is kept.

        `create.at_most` bounds it; how long it is, its end tells. It never goes on with an
        open upload of the same fingerprint.
        """
        upload_id, fingerprint = self._context.new_id(), create.fingerprint
        create = replace(create, fingerprint=None)
        try:
            upload, _ = await self._create(upload_id, caller, create, may_wait=False)
            if body.remaining:
                upload = await self.write(caller, Write(upload_id, 0, is_chunk=False), body)
            length = upload.offset
            await self._context.catalog.update(
                upload_id,
                lambda u: u.declare_length(length).announce_fingerprint(fingerprint),
            )
        except BaseException:
            # Nobody has been told its id, so nobody could go on with it.
            with anyio.CancelScope(shield=True), suppress(UploadError):
                await self.cancel(caller, upload_id)
            raise
        return await self.complete(caller, upload_id)

    # What is there.

    async def uploads(
        self,
        caller: Caller,
        states: Collection[State] | None = None,
        page: PageRequest = FIRST_PAGE,
        *,
        everybody: bool = False,
    ) -> Page[Upload]:
        """Some of the caller's uploads, or everybody's for an operator; oldest first."""
        if everybody and not caller.operator:
            raise NotThere
        owner = None if everybody else caller.owner
        return await self._context.catalog.uploads(states, owner, page)

    async def alike(self, caller: Caller, fingerprint: str) -> list[Upload]:
        """The caller's newest uploads of the file with this fingerprint; newest first."""
        return await self._context.catalog.alike(caller.owner, fingerprint)

    async def finished(self, caller: Caller, upload_id: str) -> tuple[Upload, StoredFile, Stat]:
        """A complete upload and its file. Raises `NotThere`, also when it is deleted."""
        upload = await self._context.load(caller, upload_id)
        file = self._context.storage.finished_file(upload.id, upload.suffix)
        found = await self._context.on_thread(file.stat) if upload.is_complete() else None
        if found is None:
            raise NotThere
        return upload, file, found

    async def discard(self, caller: Caller, upload_id: str) -> None:
        """Delete a finished file; the record of it stays. Raises `UploadClosed`."""
        await self._sweeping.discard(await self._context.load(caller, upload_id))

    async def assessment(self, caller: Caller, assessment_id: str) -> Assessment:
        """Raises `NotThere` for an unknown or foreign one."""
        assessment = await self._context.catalog.load_assessment(assessment_id)
        if assessment.owner != caller.owner and not caller.operator:
            raise NotThere
        return assessment

    async def picture(
        self, caller: Caller, assessment_id: str, name: str
    ) -> tuple[StoredFile, Stat]:
        """A picture that an assessment made. Raises `NotThere`, also for what is no name of one."""
        assessment = await self.assessment(caller, assessment_id)
        try:
            picture = self._context.storage.pictures.get(assessment.id, name)
        except ValueError:
            raise NotThere from None
        found = await self._context.on_thread(picture.stat)
        if found is None:
            raise NotThere
        return picture, found

    async def storage(self, caller: Caller) -> StorageFacts:
        """What the volume holds and what is promised of it. Raises `NotThere` but for operators."""
        if not caller.operator:
            raise NotThere
        context = self._context
        space: Space = await context.on_thread(context.storage.space)
        now, limits = context.clock(), context.settings.limits
        counts = await context.catalog.counts(now, limits.latest(now))
        used = await context.catalog.used()
        return StorageFacts(
            space.total, space.free, counts.reserved, used, counts.open, counts.waiting
        )

    async def metrics(self, caller: Caller) -> bytes:
        """The numbers of a scrape. Raises `NotThere` but for operators."""
        if not caller.operator:
            raise NotThere
        return await self._watching.metrics()

    async def worker(self) -> Worker | None:
        """How the worker is that assesses; None where nothing is assessed."""
        return await self._watching.worker()

    async def unready(self) -> tuple[str, ...]:
        """What keeps uploads from being taken or assessed now, a sentence each."""
        return await self._watching.unready()

    def date_of(self, moment: float) -> float:
        """Unix seconds of a moment of the clock of deadlines, as far as can be told now."""
        return self._context.date_of(moment)

    @property
    def is_stopping(self) -> bool:
        """Whether the server has been told to end: streams without an end should."""
        return self._context.is_stopping()

    async def sweep(self, dry_run: bool = False) -> list[Swept]:
        """Delete what is due, or only say what is."""
        return await self._sweeping.sweep(dry_run)

    @asynccontextmanager
    async def _beside(
        self, seconds: float, act: Callable[[], Awaitable[object]]
    ) -> AsyncIterator[None]:
        task = asyncio.create_task(self._every(seconds, act))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _every(self, seconds: float, act: Callable[[], Awaitable[object]]) -> None:
        while True:
            with self._context.isolated(Event.BACKGROUND_FAILED):
                await act()
            await anyio.sleep(seconds)
