"""The verb create: a new upload gets its place in the queue, and space if there is some.

Rule 1: no upload is admitted past one that waits. A new one is admitted at once only if the
queue would choose it now (admitting_at_once.py); otherwise it enters the queue (admitting.py).

Rule 2: an upload whose creation is refused leaves no record: no client knows its id.
"""

from __future__ import annotations

import anyio

from wherry.core.admission import check_fits_ever
from wherry.core.errors import NoRoom, UploadError, UploadNotFound
from wherry.core.joining import Joining
from wherry.core.requests import Caller, Create
from wherry.core.upload import UNFINISHED, State, Upload
from wherry.engine.admitting import Admitting
from wherry.engine.admitting_at_once import AdmittingAtOnce
from wherry.engine.cancelling import Cancelling
from wherry.engine.context import Context
from wherry.events import Event


class Creating:
    def __init__(self, context: Context, admitting: Admitting, cancelling: Cancelling) -> None:
        self._context = context
        self._admitting = admitting
        self._at_once = AdmittingAtOnce(context)
        self._cancelling = cancelling

    async def create(
        self, upload_id: str, caller: Caller, create: Create, *, may_wait: bool
    ) -> tuple[Upload, bool]:
        """The upload, and whether it is new; else it is the caller's open one for the same file.

        `may_wait`: whether it may stay in the queue when this returns. Raises as
        `Engine.create` does.
        """
        create, context = create.checked(), self._context
        wanted = self.new_upload(upload_id, caller, create)
        upload = await self._at_once.admit(wanted)
        if upload is None:
            space = await context.on_thread(context.storage.space)
            check_fits_ever(wanted.limit, context.limits, space)
            # A crash from here on: it is in the queue, and is admitted or not like any other.
            upload = await context.catalog.create(wanted)
        is_new = upload.id == wanted.id
        if not is_new and create.digest is not None:
            upload = await context.catalog.update(
                upload.id, lambda u: u.announce_digest(create.digest)
            )
        if upload.state is State.WAITING:
            upload = await self._admitting.enter(upload.id)
            try:
                await self._check_entered(upload, is_new, may_wait)
            except UploadError:
                if is_new:
                    await self.forget(caller, upload.id)
                raise
        state, received = upload.state.value, upload.received.size
        event = Event.CREATED if is_new else Event.RESUMED
        context.log_event(event, upload, state=state, received=received)
        return upload, is_new

    async def create_named(
        self, upload_id: str, caller: Caller, create: Create
    ) -> tuple[Upload, bool]:
        """The same for an id that the client has had before: the second request finds the upload.

        Raises `UploadNotFound` if somebody else's upload has this id, and `Busy` while another
        request creates it.
        """
        async with self._context.alone(upload_id):
            try:
                known = await self._context.catalog.load(upload_id)
            except UploadNotFound:
                return await self.create(upload_id, caller, create, may_wait=True)
        known.check_owner(caller)
        return known, False

    async def is_known(self, caller: Caller, create: Create) -> bool:
        """Whether the caller has an unfinished upload of the same file."""
        if create.fingerprint is None:
            return False
        alike = await self._context.catalog.alike(caller.owner, create.fingerprint)
        return any(u.is_of(caller) and u.state in UNFINISHED for u in alike)

    def new_upload(self, upload_id: str, caller: Caller, create: Create) -> Upload:
        """What is to be recorded of a new upload; `create` is checked. Raises `TooLarge`."""
        limits, now = self._context.limits, self._context.clock()
        limit = create.length if create.length is not None else create.at_most
        if limit is None:
            raise ValueError("either length or at_most is needed")
        if caller.ticket is not None:
            caller.ticket.check_size(limit)
        parts = self._context.storage.parts
        part = 1 if parts is None else parts.size(limit)
        return Upload(
            id=upload_id,
            owner=caller.owner,
            filename=create.filename,
            limit=limit,
            length=create.length,
            chunk_size=limits.chunk_size_for(create.chunk_size, create.largest_chunk, part),
            created_at=now,
            content_type=create.content_type,
            fingerprint=create.fingerprint,
            digest=create.digest,
            metadata=create.metadata,
            state=State.WAITING,
            queued_at=now,
            began_at=now,
            ticket_id=caller.ticket_id,
            joining=Joining() if create.is_piece else None,
        )

    async def _check_entered(self, upload: Upload, is_new: bool, may_wait: bool) -> None:
        """Raises `NoRoom` where the queue is full, and what keeps it from being admitted."""
        self._admitting.check_reservation(upload.id)
        if is_new and upload.state is State.WAITING:
            longest = self._context.limits.max_waiting if may_wait else 0
            position = await self._admitting.position(upload.id)
            if longest is not None and position is not None and position > longest:
                raise NoRoom

    async def forget(self, caller: Caller, upload_id: str) -> None:
        """Remove a new upload and its record, also when the request is cancelled meanwhile."""
        with anyio.CancelScope(shield=True):
            await self._cancelling.cancel(caller, upload_id)
            await self._context.catalog.forget([upload_id])
