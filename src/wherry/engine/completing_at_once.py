"""A completion without hooks: one trip to a thread of the disk, and one commit.

    1. lock       no other process completes this upload       locks
    2. check      all bytes are there; the type                catalog, storage
    3. link       the file gets its final name as well         storage
    4. record     receiving → complete, assessment queued      catalog, one transaction
    5. delete     the unfinished name                          storage

A hook needs the state `completing` and a lease, because it may take long and may end its process.
Without one, there is nothing between the link and the record that could last. The upload keeps
both names of its file until it is recorded, so a crash leaves one of two states:

    died before 4: receiving, its bytes in place, and maybe a second name in `files`. Asked again,
        it is linked already. Cancelled, expired or refused, it loses both names, the final one
        first: if a crash comes between the two, the sweep finds the folder and does the rest.
    died after 4: complete, and maybe its folder in `temp_chunks`, which the sweep deletes.

Rule 1: what this way cannot do, it leaves to `Completing`, and has changed no record until then:
a volume without hard links, a completion that has begun, a refusal of the content, a folder that
is missing.

Rule 2: the record decides. What was read before may be out of date, so the transaction checks
all of it once more. If the upload has ended meanwhile, its second name is removed.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress

from wherry.core.assessment import Assessment
from wherry.core.digests import Digest
from wherry.core.errors import (
    DiskFull,
    FileDigestMismatch,
    StorageFailed,
    TypeRefused,
    UploadError,
    UploadGone,
)
from wherry.core.ranges import Range
from wherry.core.requests import Caller
from wherry.core.upload import State, Upload
from wherry.engine.context import Context
from wherry.engine.file_types import HEAD, FileTypes
from wherry.engine.priorities import priority_of
from wherry.events import Event
from wherry.locks import take_into
from wherry.storage import Vanished

#: Every byte that an upload may have.
EVERYTHING = Range(0, 1 << 62)


class CompletingAtOnce:
    def __init__(self, context: Context, file_types: FileTypes) -> None:
        self._context = context
        self._file_types = file_types

    async def complete(
        self, caller: Caller, upload_id: str, digest: Digest | None
    ) -> Upload | None:
        """The complete upload; None where `Completing` has to do it.

        Raises `UploadNotFound`, `DigestDiffers`, `BadRequest`, `BytesMissing`, `LengthRequired`,
        `DiskFull`, `StorageFailed`.
        """
        context, begun, done = self._context, self._context.clock(), list[Upload]()
        try:
            return await context.on_thread(self._complete, caller, upload_id, digest, done)
        finally:  # also when the client has gone away meanwhile
            for upload in done:
                context.log_event(
                    Event.COMPLETE,
                    upload,
                    assessment_id=upload.assessment_id,
                    digest=upload.received_digest,
                    seconds=context.clock() - begun,
                )

    def _complete(
        self, caller: Caller, upload_id: str, digest: Digest | None, done: list[Upload]
    ) -> Upload | None:
        """The same, blocking. What this call has completed is added to `done`."""
        context = self._context
        upload = context.catalog.around(upload_id, EVERYTHING)
        upload.check_owner(caller)
        upload.check_digest(digest)
        if upload.is_complete():
            return upload
        if upload.state is not State.RECEIVING:
            return None
        try:
            upload.announce_digest(digest).check_whole()
        except FileDigestMismatch:  # to be recorded, and the bytes deleted
            return None
        with ExitStack() as held:
            if not take_into(held, context.locks, f"completing/{upload_id}"):
                return None
            if not self._link(upload):
                return None
            # A crash here leaves both names; the record says receiving.
            after = self._record(upload, digest)
            if after is None:
                return None
            done.append(after)
            # A crash here: complete, and the folder is left to the sweep, as if this failed.
            with suppress(OSError):
                context.storage.delete(upload_id)
        return after

    def _link(self, upload: Upload) -> bool:
        """Whether the file has its final name now."""
        storage = self._context.storage
        try:
            if self._file_types.is_checked:
                self._file_types.check_head(storage.head(upload.id, HEAD))
            received = upload.received
            return storage.link(upload.id, upload.suffix, received.size, received.crc)
        except (Vanished, TypeRefused):
            return False

    def _record(self, upload: Upload, digest: Digest | None) -> Upload | None:
        """The complete upload; None if it has changed since it was read."""
        context, queued = self._context, None
        now, date = context.clock(), context.date()
        if context.settings.assessment:
            priority = priority_of(context, upload)
            queued = Assessment(context.new_id(), upload.id, upload.owner, now, priority=priority)
        assessment_id = None if queued is None else queued.id

        def complete(upload: Upload) -> Upload:
            return upload.announce_digest(digest).complete_at_once(now, assessment_id, date)

        try:
            return context.catalog.submit_update(upload.id, complete, queued).result()
        except UploadGone:
            # It was cancelled, has expired or vanished since it was read, and its final name may
            # have been removed before it was made. A crash here leaves that name to
            # `Sweeping._forget_gone`.
            context.storage.discard(upload.id, upload.suffix)
            return None
        except (DiskFull, StorageFailed):
            raise
        except UploadError:
            return None
