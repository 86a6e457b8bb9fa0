"""The verb receive: one request brings a whole file.

Rule 1: nothing is kept of a request that fails. No client knows the upload's id, so none could go
on with it.

Rule 2: a small file takes one trip to a thread of the disk and one commit (`_at_once`). Where that
trip cannot decide (the queue, a full disk, a name that is taken), it takes back what it has done,
and the file goes the way of every upload (`_in_steps`): created, written, completed.

Rule 3: with an idempotency key, the upload's id follows from the owner and the key. So a repeated
request finds what the first one has led to, and gets the same answer.

What a crash leaves of `_at_once`, and who finds it:

    1. put       both names and the bytes, synced    storage: `reclaim` finds them
    2. record    complete, and the assessment        catalog: one transaction
    3. keep      the first name is removed           storage

    died after   record   files    what happens
    put          none     both     a repeated request drops it, or the sweep after an hour
    record       yes      both     the sweep removes the first name, and the file stays
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from logging import DEBUG

import anyio

from wherry.body import Body
from wherry.core.admission import Entry, Queue, Space, check_fits_ever
from wherry.core.assessment import Assessment
from wherry.core.digests import EMPTY_CRC, Digest, crc64, running
from wherry.core.errors import (
    Busy,
    DigestMismatch,
    DiskFull,
    LengthMismatch,
    NoRoom,
    UploadError,
    UploadGone,
    UploadNotFound,
)
from wherry.core.limits import MiB
from wherry.core.requests import Caller, Create, Write, id_of_key
from wherry.core.upload import GONE, State, Upload
from wherry.engine.cancelling import Cancelling
from wherry.engine.context import Context
from wherry.engine.creating import Creating
from wherry.engine.file_types import HEAD, FileTypes
from wherry.engine.leftovers import settle
from wherry.events import Event
from wherry.locks import take_into
from wherry.storage import CannotPut, RangeLocked

#: The largest file that is received in memory, in bytes.
SMALL = 1 * MiB

Writes = Callable[[Caller, Write, Body], Awaitable[Upload]]
Completes = Callable[[Caller, str], Awaitable[Upload]]


@dataclass(frozen=True, slots=True)
class _Whole:
    """A file that is in memory."""

    pieces: Sequence[memoryview]
    size: int
    crc: int

    @classmethod
    def of(cls, pieces: Sequence[memoryview]) -> _Whole:
        crc = EMPTY_CRC
        for piece in pieces:
            crc = crc64(piece, crc)
        return cls(pieces, sum(map(len, pieces)), crc)

    def head(self, size: int) -> bytes:
        """The first bytes, at most `size`."""
        head = bytearray()
        for piece in self.pieces:
            if len(head) >= size:
                break
            head += piece[: size - len(head)]
        return bytes(head)

    def check_digest(self, digest: Digest) -> None:
        """Raises `DigestMismatch`."""
        found = running(digest.algorithm)
        for piece in self.pieces:
            found.update(piece)
        if found.digest() != digest.value:
            raise DigestMismatch(digest.algorithm)


class Receiving:
    def __init__(
        self,
        context: Context,
        file_types: FileTypes,
        creating: Creating,
        cancelling: Cancelling,
        *,
        write: Writes,
        complete: Completes,
        has_hooks: bool,
    ) -> None:
        self._context = context
        self._file_types = file_types
        self._creating = creating
        self._cancelling = cancelling
        self._write = write
        self._complete = complete
        self._has_hooks = has_hooks

    async def receive(
        self, caller: Caller, create: Create, body: Body, digest: Digest | None, key: str | None
    ) -> Upload:
        """The complete upload, as `Engine.receive` says."""
        context, create = self._context, create.checked()
        upload_id = context.new_id() if key is None else id_of_key(caller.owner, key)
        new = self._creating.new_upload(upload_id, caller, create)
        context.settings.limits.check_length(new.limit)
        pieces = None if self._has_hooks else await body.gather(SMALL)
        if pieces is not None:
            done = await self._try_at_once(new, pieces, digest)
            if done is not None:
                return done
        if key is None:
            return await self._in_steps(caller, upload_id, create, body, digest)
        async with self._alone(upload_id):
            try:
                await settle(context, upload_id)
            except RangeLocked:
                raise Busy("receiving this file") from None
            known = await self._outcome(caller, upload_id)
            if known is not None:
                _check_same(known, create, digest, pieces)
                return known
            try:
                return await self._in_steps(caller, upload_id, create, body, digest)
            except BaseException:
                await self._free_key(upload_id)
                raise

    # A small file: one trip, one commit.

    async def _try_at_once(
        self, new: Upload, pieces: Sequence[memoryview], digest: Digest | None
    ) -> Upload | None:
        """The complete upload; None if it has to go in steps."""

        def at_once() -> Upload | None:
            begun = self._context.clock()
            done = self._at_once(new, pieces, digest)
            if done is not None:
                self._log(done, self._context.clock() - begun)
            return done

        return await self._context.on_thread(at_once)

    def _at_once(
        self, new: Upload, pieces: Sequence[memoryview], digest: Digest | None
    ) -> Upload | None:
        """The same, blocking."""
        context = self._context
        space = context.storage.space()
        check_fits_ever(new.limit, context.settings.limits, space)
        file = _Whole.of(pieces)
        if file.size > space.free - context.settings.min_free:
            return None
        assessment_id = context.new_id() if context.settings.assessment else None
        upload = new.arrive(file.size, file.crc, context.clock(), assessment_id)
        if digest is not None:
            file.check_digest(digest)
        if self._file_types.is_checked:
            self._file_types.check_head(file.head(HEAD))
        try:
            arrival = context.storage.put(upload.id, upload.suffix, pieces)
        except (CannotPut, DiskFull):
            return None
        with arrival:
            # A crash from here on leaves a file of which there is no record.
            try:
                done = self._record(upload, assessment_id, space)
            except (NoRoom, DiskFull):  # then nothing is recorded
                arrival.drop()
                return None
            # Any other error leaves it open whether the record is there. So the file stays, as
            # after a crash, and whoever finds it looks at the record.
            if done is not upload:  # the key was used before
                arrival.drop()
                return None
            # A crash here: complete, and the client does not know. It asks again with its key.
            with suppress(OSError):  # the sweep tries it again
                arrival.keep()
        return done

    def _record(self, upload: Upload, assessment_id: str | None, space: Space) -> Upload:
        """Record the complete upload if it is admitted. Raises `NoRoom`."""
        context, limits, now = self._context, self._context.settings.limits, upload.created_at
        size, free = upload.received.size, space.free - context.settings.min_free
        entry = Entry(upload.id, upload.owner, now, size)

        def admit(queue: Queue) -> None:
            if not queue.admits(entry, limits, free, now):
                raise NoRoom

        queued = None
        if assessment_id is not None:
            queued = Assessment(assessment_id, upload.id, upload.owner, now)
        latest = limits.latest_slot_end(now)
        return context.catalog.submit_create(upload, queued, admit, latest).result()

    def _log(self, upload: Upload, seconds: float) -> None:
        """Count what every upload counts; but one line is enough for a small file."""
        context, size = self._context, upload.received.size
        context.log_event(Event.CREATED, upload, level=DEBUG, state="receiving", received=0)
        if size:
            context.log_event(Event.RECORDED, upload, at=0, received=size, seconds=seconds)
        context.log_event(
            Event.COMPLETE,
            upload,
            assessment_id=upload.assessment_id,
            digest=upload.received_digest,
            seconds=seconds,
        )

    # Any file.

    async def _in_steps(
        self,
        caller: Caller,
        upload_id: str,
        create: Create,
        body: Body,
        digest: Digest | None,
    ) -> Upload:
        fingerprint, create = create.fingerprint, replace(create, fingerprint=None)
        try:
            upload, _ = await self._creating.create(upload_id, caller, create, may_wait=False)
            if body.remaining:
                upload = await self._write(caller, Write(upload_id, 0, digest), body)
            elif digest is not None:
                _Whole.of(()).check_digest(digest)
            length = upload.offset
            if upload.length != length or fingerprint is not None:
                await self._context.catalog.update(
                    upload_id,
                    lambda u: u.declare_length(length).announce_fingerprint(fingerprint),
                )
        except BaseException:
            with anyio.CancelScope(shield=True), suppress(UploadError):
                await self._cancelling.cancel(caller, upload_id)
            raise
        return await self._complete(caller, upload_id)

    # Repeated requests.

    async def repeated(self, caller: Caller, key: str) -> Upload | None:
        """What the request with this key has led to; None: nothing."""
        upload_id = id_of_key(caller.owner, key)
        if await self._find(upload_id) is None:
            return None
        async with self._alone(upload_id):
            return await self._outcome(caller, upload_id)

    @asynccontextmanager
    async def _alone(self, upload_id: str) -> AsyncIterator[None]:
        """No other request with the same key, in steps or repeated. Raises `Busy`."""
        context = self._context
        with ExitStack() as held:
            name = f"receiving/{upload_id}"
            if not await context.on_thread(take_into, held, context.locks, name):
                raise Busy("receiving this file")
            yield

    async def _outcome(self, caller: Caller, upload_id: str) -> Upload | None:
        """What has come of the key, for a request that is `_alone`; None: nothing.

        Raises `UploadGone`, `Busy`.
        """
        upload = await self._find(upload_id)
        if upload is None or upload.is_complete():
            return upload
        if upload.state in GONE:
            raise UploadGone(upload.state.value, upload.failure)
        if upload.state is State.COMPLETING:
            return await self._complete(caller, upload_id)
        if not self._context.locks.locks_items:
            raise Busy("receiving this file")
        # The request that had the lock has died with its process.
        await self._creating.forget(caller, upload_id)
        return None

    async def _find(self, upload_id: str) -> Upload | None:
        try:
            return await self._context.catalog.load(upload_id)
        except UploadNotFound:
            return None

    async def _free_key(self, upload_id: str) -> None:
        """Forget a request of which nothing has come, so that its key may be used again."""
        with anyio.CancelScope(shield=True), suppress(UploadError):
            upload = await self._find(upload_id)
            if upload is not None and upload.state is State.CANCELLED:
                await self._context.catalog.forget([upload_id])


def _check_same(
    upload: Upload, create: Create, digest: Digest | None, pieces: Sequence[memoryview] | None
) -> None:
    """Raises `LengthMismatch`, `DigestDiffers` if the key was used for another file."""
    if create.length is not None and upload.length not in (None, create.length):
        raise LengthMismatch(declared=upload.received.size, provided=create.length)
    if pieces is not None:
        digest = Digest.of_crc(_Whole.of(pieces).crc)
    if digest is not None and digest.algorithm == upload.received_digest.algorithm:
        upload.check_digest(digest)
