"""The verb receive: one request brings a whole file.

Rule 1: nothing is kept of a request that fails. No client knows the upload's id, so none could go
on with it.

Rule 2: a small file goes in one trip and one commit (`at_once`), if the application has no hooks.
Any other goes the way of every upload: created, written, completed.

Rule 3: with an idempotency key, the upload's id follows from the owner and the key. So a repeated
request finds what the first one has led to, and gets the same answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import anyio

from wherry.body import Body
from wherry.core.digests import Digest
from wherry.core.errors import (
    Busy,
    LengthMismatch,
    UploadError,
    UploadGone,
    UploadNotFound,
)
from wherry.core.limits import MiB
from wherry.core.requests import Caller, Create, Write, id_of_key
from wherry.core.upload import GONE, State, Upload
from wherry.engine.at_once import AtOnce, Pieces, check_digest, crc_of
from wherry.engine.cancelling import Cancelling
from wherry.engine.context import Context, lock_of_key
from wherry.engine.creating import Creating
from wherry.engine.file_types import FileTypes
from wherry.engine.leftovers import settle
from wherry.storage import RangeLocked

#: The largest file that is received in memory, in bytes.
SMALL = 1 * MiB

Writes = Callable[[Caller, Write, Body], Awaitable[Upload]]
Completes = Callable[[Caller, str], Awaitable[Upload]]


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
        self._at_once = AtOnce(context, file_types)
        self._creating = creating
        self._cancelling = cancelling
        self._write = write
        self._complete = complete
        #: The largest body that is received in memory, in bytes; 0: none.
        self.in_memory = 0 if has_hooks else SMALL

    async def receive(
        self, caller: Caller, create: Create, body: Body, digest: Digest | None, key: str | None
    ) -> Upload:
        """The complete upload, as `Engine.receive` says."""
        context, create = self._context, create.checked()
        upload_id = context.new_id() if key is None else _id_of(caller, key)
        new = self._creating.new_upload(upload_id, caller, create)
        context.limits.check_length(new.limit)
        pieces = await body.gather(self.in_memory) if self.in_memory else None
        if pieces is not None:
            lock = None if key is None else lock_of_key(upload_id)
            done = await self._at_once.receive(new, pieces, digest, lock)
            if done is not None:
                return done
        if key is None:
            return await self._in_steps(caller, upload_id, create, body, digest)
        async with context.alone(upload_id):
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
                check_digest((), digest)
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

    async def is_known(self, caller: Caller, key: str) -> bool:
        """Whether a request of this owner with this key has begun before."""
        return await self._find(_id_of(caller, key)) is not None

    async def repeated(self, caller: Caller, key: str) -> Upload | None:
        """What the request with this key has led to; None: nothing."""
        upload_id = _id_of(caller, key)
        if await self._find(upload_id) is None:
            return None
        async with self._context.alone(upload_id):
            return await self._outcome(caller, upload_id)

    async def _outcome(self, caller: Caller, upload_id: str) -> Upload | None:
        """What has come of the key, for a request that has its lock; None: nothing.

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


def _id_of(caller: Caller, key: str) -> str:
    return id_of_key(caller.owner, key, caller.ticket_id)


def _check_same(
    upload: Upload, create: Create, digest: Digest | None, pieces: Pieces | None
) -> None:
    """Raises `LengthMismatch`, `DigestDiffers` if the key was used for another file."""
    if create.length is not None and upload.length not in (None, create.length):
        raise LengthMismatch(declared=upload.received.size, provided=create.length)
    if pieces is not None:
        digest = Digest.of_crc(crc_of(pieces)[0])
    if digest is not None and digest.algorithm == upload.received_digest.algorithm:
        upload.check_digest(digest)
