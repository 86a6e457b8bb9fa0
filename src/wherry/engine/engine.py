"""The engine as protocols see it: one method for each thing a client may ask.

Rule 1: each verb has a module of its own. This class puts them together, and answers
what only has to be looked up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from wherry.body import Body
from wherry.core.assessment import Assessment, AssessmentState
from wherry.core.digests import Digest
from wherry.core.early_verdict import EarlyVerdict
from wherry.core.errors import (
    NotThere,
    OffsetDiffers,
    Queued,
    Superseded,
    TypeRefused,
    UploadGone,
)
from wherry.core.pages import FIRST_PAGE, Page, PageRequest
from wherry.core.requests import Caller, Create, Write
from wherry.core.upload import State, Upload
from wherry.core.webhooks import Delivery, DeliveryState
from wherry.core.worker import Worker
from wherry.engine.admitting import Admitting
from wherry.engine.background import Background
from wherry.engine.cancelling import Cancelling
from wherry.engine.completing import Completing
from wherry.engine.context import Context
from wherry.engine.creating import Creating
from wherry.engine.direct_parts import AddressedPart, DirectParts
from wherry.engine.early_verdicts import EarlyVerdicts, Looks
from wherry.engine.file_types import FileTypes
from wherry.engine.hooks import Hooks
from wherry.engine.joining import Joining
from wherry.engine.paths import KnownPaths
from wherry.engine.rates import BYTES, REQUESTS, Rates
from wherry.engine.receipts import Receipts, SigningKey
from wherry.engine.receiving import Receiving
from wherry.engine.reconciling import reconcile
from wherry.engine.sweeping import Sweeping, Swept
from wherry.engine.tickets import Tickets
from wherry.engine.watching import Overview, StorageFacts, Watching
from wherry.engine.writing import Writing
from wherry.storage import Stat, StoredFile, Stray


class Engine:
    def __init__(
        self,
        context: Context,
        hooks: Hooks | None = None,
        receipt_keys: Sequence[SigningKey] = (),
        looks: Looks | None = None,
    ) -> None:
        """`receipt_keys`: the first one signs receipts; none: there are no receipts.

        `looks`: for early verdicts; None: there are none.
        """
        self._context = context
        self.settings = context.settings
        self._file_types = FileTypes(context)
        self._rates = Rates(context)
        self._admitting = Admitting(context)
        self._writing = Writing(context, self._file_types, self._admitting)
        self._direct = DirectParts(context, self._admitting, self._rates)
        self._completing = Completing(context, self._file_types, hooks or Hooks())
        self._sweeping = Sweeping(context, self._writing.end)
        self._watching = Watching(context, self._admitting)
        #: What passes on the way to each public host.
        self.paths = KnownPaths(context)
        #: What guests are let in by.
        self.tickets = Tickets(context)
        self.receipts = Receipts(context, receipt_keys)
        self._early = EarlyVerdicts(context, looks)
        self._cancelling = Cancelling(context, self._admitting, self._writing)
        self._creating = Creating(context, self._admitting, self._cancelling)
        self._receiving = Receiving(
            context,
            self._file_types,
            self._creating,
            self._cancelling,
            write=lambda caller, write, body: self._write(caller, write, body, is_limited=False),
            complete=self.complete,
            has_hooks=hooks is not None and hooks != Hooks(),
        )
        self._joining = Joining(
            context, self._creating, end=self._writing.end, complete=self.complete
        )
        self._background = Background(
            context,
            self._admitting,
            self._writing,
            self._completing,
            self._sweeping,
            joining=self._joining,
            paths=self.paths,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """What every process does beside requests."""
        async with self._background.running():
            yield

    @asynccontextmanager
    async def sweeping(self) -> AsyncIterator[None]:
        """What one process does for all: delete what is due, again and again."""
        async with self._background.sweeping():
            yield

    async def check_rate(self, caller: Caller) -> None:
        """Count one request of the caller. Raises `RateLimited`."""
        await self._rates.take(REQUESTS, caller)

    async def count_bytes(self, caller: Caller, amount: int) -> None:
        """Count bytes that the caller is about to send. Raises `RateLimited`."""
        await self._rates.take(BYTES, caller, amount)

    # Verbs.

    def new_id(self) -> str:
        """An identifier for an upload that is to be created later, which nobody can guess."""
        return self._context.new_id()

    async def create(
        self, caller: Caller, create: Create, upload_id: str | None = None
    ) -> tuple[Upload, bool]:
        """A new upload with its space reserved, or the caller's open one for the same file.

        The second value tells which: True for a new one. Where there is no room, it waits
        (`State.WAITING`): `with_position` gives its position in the queue. `upload_id`: one of
        `new_id` that the client has had before; a repeated request gets the same upload.

        Raises `BadRequest`, `LengthRequired`, `TooLarge`, `NeverFits`, `NoRoom`, `RateLimited`,
        `StorageFailed`; with an `upload_id` also `Busy`, `UploadNotFound` for somebody else's.
        """

        async def is_resumed() -> bool:
            return await self._creating.is_known(caller, create)

        async with self._rates.beginning(caller, is_resumed) as keep:
            if upload_id is None:
                new_id = self._context.new_id()
                found = await self._creating.create(new_id, caller, create, may_wait=True)
            else:
                found = await self._creating.create_named(upload_id, caller, create)
            if found[1]:
                keep()
        return found

    async def write(self, caller: Caller, write: Write, body: Body) -> Upload:
        """Take in a body's bytes; the upload with them recorded.

        Raises `UploadNotFound`, `UploadClosed`, `UploadGone`, `BadRequest`, `RangeOutside`,
        `ChunkTooSmall`, `TooLarge`, `Queued` before a byte is read; `BodyCut`, `BodyStalled`
        with what arrived recorded; `DigestMismatch`, `Superseded`, `Busy`, `DiskFull`,
        `StorageFailed`, `TooFragmented` with nothing of this request recorded; `TypeRefused`
        with the upload deleted; `UploadGone` as soon as it is cancelled, expired or removed;
        `RateLimited` and `Stopping`.
        """
        await self.count_bytes(caller, body.remaining)
        return await self._write(caller, write, body, is_limited=True)

    async def _write(self, caller: Caller, write: Write, body: Body, *, is_limited: bool) -> Upload:
        try:
            upload = await self._writing.write(caller, write, body, is_limited=is_limited)
        except Queued:
            raise await self._admitting.refusal(write.upload_id) from None
        except UploadGone:
            await self._context.remove_late(write.upload_id)
            raise
        except TypeRefused as error:
            upload = await self._context.catalog.load(write.upload_id)
            await self._file_types.refuse(upload, error)
            raise
        self._joining.note(upload)
        return upload

    async def append(
        self, caller: Caller, write: Write, body: Body, found: Upload | None = None
    ) -> Upload:
        """`write`, for a client that sends the bytes of a file in their order, in any sizes.

        `found`: the upload, if this request has looked it up already. Raises `OffsetDiffers` if
        `write.offset` is not where the upload goes on, before a byte is read, and instead of
        `Superseded`.
        """
        upload = found or await self.status(caller, write.upload_id)
        upload.check_offset(write.offset)
        await self.count_bytes(caller, body.remaining)
        try:
            # The bytes touch those before them, so however few there are, they are no further part.
            return await self._write(caller, write, body, is_limited=False)
        except Superseded:
            upload = await self.status(caller, write.upload_id)
            raise OffsetDiffers(upload.offset, write.offset) from None

    async def declare_length(self, caller: Caller, upload_id: str, length: int) -> Upload:
        """The upload with its length, which was unknown when it was created.

        Raises `LengthMismatch`, `TooLarge`, `UploadNotFound`, `UploadClosed`, `UploadGone`,
        `Queued`.
        """
        await self.status(caller, upload_id)
        return await self._context.catalog.update(upload_id, lambda u: u.declare_length(length))

    async def join(
        self, caller: Caller, create: Create, piece_ids: Sequence[str]
    ) -> tuple[Upload, bool]:
        """A new upload with the bytes of these pieces, in this order; `joined` makes it.

        They were created with `is_piece`, and need not be whole yet. Asked again, it finds the
        upload; the second value is True for a new one. `create.length` follows from the pieces.

        Raises `BadRequest` for what is no piece, or one of another upload; `UploadNotFound`,
        `UploadGone` for a piece that is not the caller's, or has ended; `TooLarge`, `NeverFits`,
        `Busy`, `RateLimited`.
        """

        async def is_resumed() -> bool:
            return await self._joining.is_known(caller, piece_ids)

        async with self._rates.beginning(caller, is_resumed) as keep:
            found = await self._joining.create(caller, create, piece_ids)
            if found[1]:
                keep()
        return found

    async def joined(self, caller: Caller, upload: Upload) -> Upload:
        """An upload of `join`, complete if all its pieces are whole; else as it is.

        Joining goes on if it takes longer than `answer_within`. Raises as `complete` does, and
        `UploadGone` when a piece is gone; `DiskFull`, `StorageFailed` with nothing lost.
        """
        return await self._joining.joined(caller, upload)

    async def has_bytes_of(self, piece: Upload) -> bool:
        """Whether a piece has ended because a joined upload has its bytes."""
        return await self._joining.has_bytes_of(piece)

    def direct_part_size(self, upload: Upload) -> int | None:
        """The size of the parts that clients may send to the storage; None: not of this upload."""
        return self._direct.part_size(upload)

    async def addresses(
        self, caller: Caller, upload_id: str, crcs: Mapping[int, int]
    ) -> tuple[float, list[AddressedPart]]:
        """Where the client may send parts itself, each of this CRC-64/NVME; by their numbers.

        The first value is when the addresses expire, in Unix seconds. Parts that are recorded are
        left out. Raises `BadRequest` where that is not possible, for the upload or for one of the
        parts; `Queued`, `RateLimited`, `UploadNotFound`, `UploadClosed`, `UploadGone`.
        """
        try:
            return await self._direct.addresses(caller, upload_id, crcs)
        except Queued:
            raise await self._admitting.refusal(upload_id) from None

    async def report(self, caller: Caller, upload_id: str, numbers: Collection[int]) -> Upload:
        """The upload with these parts recorded, which the client has sent to the storage.

        Raises `PartsMissing` for those that are not there, when the others are recorded;
        `BadRequest`, `TooFragmented`, `UploadNotFound`, `UploadClosed`, `UploadGone`.
        """
        try:
            upload = await self._direct.report(caller, upload_id, numbers)
        except Queued:
            raise await self._admitting.refusal(upload_id) from None
        self._joining.note(upload)
        return upload

    async def status(self, caller: Caller, upload_id: str, *, everybody: bool = False) -> Upload:
        """The current state of the upload; never waits for a request that writes into it.

        `everybody`: also one of another owner, for an operator.
        """
        upload = await self._context.load(caller, upload_id, everybody=everybody)
        if await self._context.is_removed(upload):
            await self._context.vanished(upload_id)
            await self._writing.end(upload_id)
            upload = await self._context.load(caller, upload_id, everybody=everybody)
        return upload

    def early_tail(self, upload: Upload) -> int | None:
        """How many bytes of the end clients should send second, for an early verdict; or None."""
        return self._early.tail_of(upload)

    async def early_verdict(self, caller: Caller, upload_id: str) -> EarlyVerdict:
        """What the bytes show that have been received, while the upload goes on.

        Raises `UploadNotFound`, `UploadClosed`, `StorageFailed`.
        """
        return await self._early.verdict_on(await self.status(caller, upload_id))

    async def with_position(self, upload: Upload) -> tuple[Upload, int | None]:
        """The upload and its position in the queue; loaded anew if it has just left the queue."""
        while upload.queued_at is not None:
            position = await self._admitting.position(upload.id)
            if position is not None:
                return upload, position
            upload = await self._context.catalog.load(upload.id)
        return upload, None

    async def positions(self, uploads: Collection[Upload]) -> Mapping[str, int]:
        """The position of each upload that is in the queue; 1 is next."""
        if all(upload.queued_at is None for upload in uploads):
            return {}
        return await self._admitting.positions()

    async def advance(self) -> None:
        """Admit uploads while there is room; `running` does so each second."""
        await self._admitting.advance()

    async def complete(
        self, caller: Caller, upload_id: str, digest: Digest | None = None
    ) -> Upload:
        """Hand the file over, once; asked again, the same answer.

        If that takes longer than `answer_within` seconds, it goes on, and the upload returned is
        still `completing`. Without hooks, it is one commit, which is waited for.
        Raises `BytesMissing`, `FileDigestMismatch`, `TypeRefused`, `ContentRefused` (deleted),
        `DigestDiffers` (the file is safe), `HookFailed`, `HookEndsServer`, `Busy`, `Queued`,
        `UploadNotFound`, `UploadClosed`, `UploadGone`.
        """
        try:
            return await self._completing.complete(caller, upload_id, digest)
        except Queued:
            raise await self._admitting.refusal(upload_id) from None

    async def cancel(self, caller: Caller, upload_id: str, *, everybody: bool = False) -> Upload:
        """Give the upload up: its space is free on return. Asked again, the same.

        `everybody`: also one of another owner, for an operator. Raises `UploadNotFound`,
        `UploadClosed` (complete), `Busy` (being completed); `NotThere`.
        """
        return await self._cancelling.cancel(caller, upload_id, everybody=everybody)

    async def receive(
        self,
        caller: Caller,
        create: Create,
        body: Body,
        *,
        digest: Digest | None = None,
        key: str | None = None,
    ) -> Upload:
        """One whole file in one request; if that fails, nothing of it is kept.

        `create.at_most` bounds its length, which is known at its end. It never goes on with an
        open upload of the same fingerprint. `digest`: of the whole file. `key`: a request of the
        same owner with the same key gets the answer of the first one, and its body is not used.

        Raises what `create`, `write` and `complete` raise; with a key also `Busy` while the first
        request goes on, `UploadGone` if it has ended without a file, and `LengthMismatch` or
        `DigestDiffers` for another file than the first one.
        """

        async def is_resumed() -> bool:
            return key is not None and await self._receiving.is_known(caller, key)

        async with self._rates.beginning(caller, is_resumed) as keep:
            await self._rates.take(BYTES, caller, body.remaining)
            upload = await self._receiving.receive(caller, create, body, digest, key)
            keep()
        return upload

    async def repeated(self, caller: Caller, key: str) -> Upload | None:
        """What the request of this owner with this key has led to; None if there was none.

        Raises `Busy`, `UploadGone`.
        """
        return await self._receiving.repeated(caller, key)

    # What is there.

    @property
    def receives_in_memory(self) -> int:
        """The largest body that `receive` wants in memory, in bytes; 0: none."""
        return self._receiving.in_memory

    @property
    def is_storage_distant(self) -> bool:
        """Whether bytes go over a network, and not to a disk of this machine."""
        return self._context.storage.parts is not None

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
        found = await self._context.catalog.alike(caller.owner, fingerprint)
        return [upload for upload in found if upload.is_of(caller)]

    async def finished(self, caller: Caller, upload_id: str) -> tuple[Upload, StoredFile, Stat]:
        """A complete upload and its file.

        Raises `NotThere`, also when it is deleted, and `NotForGuests`.
        """
        self.tickets.check_reads_file(caller)
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
        is_shown = caller.ticket is None or caller.ticket.shows == assessment.upload_id
        if (assessment.owner != caller.owner and not caller.operator) or not is_shown:
            raise NotThere
        return assessment

    async def assessments(
        self,
        caller: Caller,
        states: Collection[AssessmentState] | None = None,
        page: PageRequest = FIRST_PAGE,
    ) -> Page[Assessment]:
        """Some of everybody's assessments. Raises `NotThere` but for operators."""
        if not caller.operator:
            raise NotThere
        return await self._context.catalog.assessments(page, states)

    async def prioritise(self, caller: Caller, assessment_id: str, priority: int) -> Assessment:
        """Change the priority of an assessment that waits.

        Raises `NotThere` but for operators, and for an unknown one; `NotQueued`, `ValueError`.
        """
        if not caller.operator:
            raise NotThere
        change = self._context.catalog.update_assessment
        return await change(assessment_id, lambda a: a.prioritise(priority))

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

    async def deliveries(
        self,
        caller: Caller,
        states: Collection[DeliveryState] | None = None,
        page: PageRequest = FIRST_PAGE,
    ) -> Page[Delivery]:
        """Some of all webhooks. Raises `NotThere` but for operators."""
        if not caller.operator:
            raise NotThere
        return await self._context.catalog.deliveries(states, page)

    async def replay(self, caller: Caller, delivery_id: str) -> Delivery:
        """Send a webhook again. Raises `NotThere` but for operators, and for an unknown one."""
        if not caller.operator:
            raise NotThere
        return await self._context.catalog.update_delivery(delivery_id, lambda d: d.replay())

    async def storage(self, caller: Caller) -> StorageFacts:
        """What the volume holds and what is promised of it. Raises `NotThere` but for operators."""
        if not caller.operator:
            raise NotThere
        return await self._watching.storage()

    async def overview(self, caller: Caller) -> Overview:
        """How the server is, all together. Raises `NotThere` but for operators."""
        if not caller.operator:
            raise NotThere
        return await self._watching.overview()

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
        """Unix seconds of a moment of the deadline clock, as far as can be told now."""
        return self._context.date_of(moment)

    @property
    def date(self) -> float:
        """Unix seconds."""
        return self._context.date()

    @property
    def is_stopping(self) -> bool:
        """Whether the server has been told to end: streams without an end should."""
        return self._context.is_stopping()

    async def reconcile(self, dry_run: bool = False) -> list[Stray]:
        """End what an object store has and no record knows, or only say what there is."""
        return [stray async for stray in reconcile(self._context, dry_run=dry_run)]

    async def sweep(self, dry_run: bool = False) -> list[Swept]:
        """Delete what is due, or only say what is."""
        return await self._sweeping.sweep(dry_run)
