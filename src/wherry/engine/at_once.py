"""A small file that one request brings: one trip to a thread of the disk, and one commit.

    1. put       both names and the bytes, synced    storage
    2. record    complete, and the assessment        catalog: one transaction
    3. keep      the first name is removed           storage

Rule 1: what the trip cannot decide (the queue, a full disk, a name that is taken, a lock that
another request has) is taken back, and the file goes the way of every upload.

What a crash leaves, and who finds it (`leftovers`):

    died after   record   files    what happens
    put          none     both     a repeated request drops it, or the sweep after an hour
    record       yes      both     the sweep removes the first name, and the file stays
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from logging import DEBUG

from wherry.core.admission import Entry, Queue, check_fits_ever, free_for_uploads
from wherry.core.assessment import Assessment
from wherry.core.digests import EMPTY_CRC, Digest, crc64, running
from wherry.core.errors import (
    DigestMismatch,
    DiskFull,
    NoRoom,
    TicketExpired,
    TicketRevoked,
    TicketUsedUp,
)
from wherry.core.upload import Upload
from wherry.engine.context import Context
from wherry.engine.file_types import HEAD, FileTypes
from wherry.engine.priorities import priority_of
from wherry.events import Event
from wherry.locks import take_into
from wherry.storage import Arrival, CannotPut
from wherry.threads import until_resolved

Pieces = Sequence[memoryview]

#: How long after a file was put it may be recorded where nothing locks it, in seconds. The sweep
#: leaves it alone for an hour.
UNRECORDED = 600.0
#: The refusals of a record after which there is none.
NOT_RECORDED = (NoRoom, DiskFull, TicketExpired, TicketRevoked, TicketUsedUp)


class AtOnce:
    def __init__(self, context: Context, file_types: FileTypes) -> None:
        self._context = context
        self._file_types = file_types

    async def receive(
        self, new: Upload, pieces: Pieces, digest: Digest | None, lock: str | None
    ) -> Upload | None:
        """The complete upload; None if it has to go in steps, and then nothing is left.

        `new`: the upload as it would enter the queue. `lock`: held until the record is settled;
        None if no other request can bring the same upload. Raises as `Engine.receive` does.
        """
        trip = _Trip(self._context, self._file_types, new, pieces, digest, lock)
        try:
            return await until_resolved(trip.begin)
        except OSError as error:
            raise self._context.as_upload_error(error) from error
        finally:
            # Also when the request was cancelled meanwhile: the upload is complete.
            if trip.complete is not None:
                self._log(trip.complete)

    def _log(self, upload: Upload) -> None:
        """Count what every upload counts; but one line is enough for a small file."""
        context, size = self._context, upload.received.size
        seconds = context.clock() - upload.created_at
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


@dataclass(slots=True)
class _Trip:
    context: Context
    file_types: FileTypes
    new: Upload
    pieces: Pieces
    digest: Digest | None
    lock: str | None
    complete: Upload | None = None  #: When it is.

    # On a thread of the disk.

    def begin(self) -> Future[Upload | None]:
        """Check and put the file, and submit its record."""
        context, outcome = self.context, Future[Upload | None]()
        space = context.storage.space()
        check_fits_ever(self.new.limit, context.limits, space)
        crc, size = crc_of(self.pieces)
        assessment_id = context.new_id() if context.settings.assessment else None
        upload = self.new.arrive(size, crc, context.clock(), assessment_id, context.date())
        if self.digest is not None:
            check_digest(self.pieces, self.digest)
        if self.file_types.is_checked:
            self.file_types.check_head(head_of(self.pieces, HEAD))
        free = free_for_uploads(space, context.limits)
        if free is not None and size > free:
            outcome.set_result(None)
            return outcome
        with ExitStack() as held:
            if self.lock is not None and not take_into(held, context.locks, self.lock):
                outcome.set_result(None)
                return outcome
            try:
                put = context.storage.put(upload.id, upload.suffix, self.pieces)
            except (CannotPut, DiskFull):
                outcome.set_result(None)
                return outcome
            arrival = held.enter_context(put)
            # A crash from here on leaves a file of which there is no record.
            recorded = self._submit(upload, free)
            kept = held.pop_all()

        def settle(recorded: Future[Upload]) -> None:
            try:
                with kept:
                    done = self._settle(arrival, upload, recorded)
            except BaseException as error:
                outcome.set_exception(error)
            else:
                outcome.set_result(done)

        recorded.add_done_callback(settle)
        return outcome

    def _submit(self, upload: Upload, free: int | None) -> Future[Upload]:
        """Record the complete upload, if the queue admits it; otherwise `NoRoom`."""
        context, now = self.context, upload.created_at
        limits, queued = context.limits, None
        entry = Entry(upload.id, upload.owner, now, upload.received.size)

        put_at, is_held = time.monotonic(), context.storage.capabilities.locks_ranges

        def admit(queue: Queue) -> None:
            # Where storage has no locks, the sweep may have taken the file of a process that was
            # stopped for long for the rest of a crash.
            if not is_held and time.monotonic() - put_at > UNRECORDED:
                raise NoRoom
            if not queue.admits(entry, limits, free, now):
                raise NoRoom

        if upload.assessment_id is not None:
            queued = Assessment(
                upload.assessment_id,
                upload.id,
                upload.owner,
                now,
                priority=priority_of(context, upload),
            )
        latest = limits.latest_slot_end(now)
        return context.catalog.submit_create(upload, queued, admit, latest)

    # On the thread of the catalog.

    def _settle(self, arrival: Arrival, upload: Upload, recorded: Future[Upload]) -> Upload | None:
        try:
            # Any other error leaves it open whether the record is there. So the file stays,
            # as after a crash, and whoever finds it looks at the record.
            is_ours = recorded.result() == upload
        except NOT_RECORDED:
            is_ours = False
        if is_ours:
            self.complete = upload
            # A crash here: complete, and the client does not know. It asks again with its key.
        with suppress(OSError):  # what stays is found by the sweep
            if is_ours:
                arrival.keep()
            else:  # or the key was used before
                arrival.drop()
        return self.complete


def crc_of(pieces: Pieces) -> tuple[int, int]:
    """The CRC-64/NVME of all pieces, and their size."""
    crc, size = EMPTY_CRC, 0
    for piece in pieces:
        crc = crc64(piece, crc)
        size += len(piece)
    return crc, size


def head_of(pieces: Pieces, most: int) -> bytes:
    """The first bytes, at most so many."""
    head = bytearray()
    for piece in pieces:
        head += piece[: most - len(head)]
        if len(head) == most:
            break
    return bytes(head)


def check_digest(pieces: Pieces, digest: Digest) -> None:
    """Raises `DigestMismatch`."""
    found = running(digest.algorithm)
    for piece in pieces:
        found.update(piece)
    if found.digest() != digest.value:
        raise DigestMismatch(digest.algorithm)
