"""A new upload is admitted as it arrives, where nothing has to be waited for: one trip, one commit.

    1. reserve    the space on disk                               storage
    2. record     receiving, if it is admitted                    catalog, one transaction

A crash between the two leaves a folder without a record, which the sweep deletes after an hour.

Rule 1: the same decision as for the queue. The transaction asks what `Admitting` would choose if
the upload had joined the queue (`Queue.admits`). So no upload is admitted past one that waits,
and no limit is exceeded, however many processes do this at once.

Rule 2: no lock is needed, because each reserves first and then looks at the disk, inside of its
transaction. Of two uploads that do not fit together, the one that is recorded later finds the
reservation of the other. An upload that waits counts as well, so `Admitting`, which looks at the
disk before it reserves, never finds less than it was promised: what was recorded here since
leaves room for it.

Rule 3: what cannot be admitted at once enters the queue, and nothing is left of the attempt. While
the queue is known to be in the way, it is not tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from wherry.core.admission import Entry, Queue, check_fits_ever, free_for_uploads
from wherry.core.errors import UploadError
from wherry.core.limits import GiB
from wherry.core.upload import Upload
from wherry.engine.context import Context

#: Reserving takes longer for a larger file, and its client may have an open upload of it already.
LARGEST = 1 * GiB
#: How long new uploads go to the queue after one had to, in seconds.
PAUSE = 1.0


class _NotNow(Exception):
    """There is no room for it, or other uploads come first."""


class AdmittingAtOnce:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._not_before = float("-inf")

    async def admit(self, wanted: Upload) -> Upload | None:
        """The admitted upload, or the open one of the same file; None if it has to enter the queue.

        Raises `TooLarge`, `NeverFits`, `DiskFull`, `StorageFailed`.
        """
        if time.monotonic() < self._not_before or wanted.limit > LARGEST:
            return None
        return await self._context.on_thread(self._admit, wanted)

    def _admit(self, wanted: Upload) -> Upload | None:
        """The same, blocking."""
        if time.monotonic() < self._not_before:  # another one had to, while this waited its turn
            return None
        context, storage = self._context, self._context.storage
        limits, now, size = context.limits, wanted.created_at, wanted.limit

        def free() -> int | None:
            space = storage.space()
            check_fits_ever(size, limits, space)
            # Where space cannot be reserved, two processes would not see each other's (rule 2).
            # Where none is needed, nothing is looked at.
            if space is not None and not storage.capabilities.reserves:
                raise _NotNow
            return free_for_uploads(space, limits)

        try:
            self._reserve(wanted, free)
        except _NotNow:
            return None
        # A crash here leaves a reservation without a record.
        entry = Entry(wanted.id, wanted.owner, now, size)

        def check(queue: Queue) -> None:
            # What is free now is free beside our reservation.
            left = free_for_uploads(storage.space(), limits)
            if not queue.admits(entry, limits, None if left is None else left + size, now):
                raise _NotNow

        admitted, latest = wanted.admit(now, now + limits.turn), limits.latest_slot_end(now)
        try:
            upload = context.catalog.submit_create(admitted, None, check, latest).result()
        except BaseException as error:
            with suppress(OSError):
                storage.delete(wanted.id)
            if not isinstance(error, _NotNow):
                raise
            self._not_before = time.monotonic() + PAUSE
            return None
        if upload.id != wanted.id:
            with suppress(OSError):
                storage.delete(wanted.id)
        return upload

    def _reserve(self, wanted: Upload, free: Callable[[], int | None]) -> None:
        """Raises `_NotNow` if there is no room, or if storage refuses."""
        with self._context.reserving.within(wanted.limit, free) as fits:
            if not fits:
                raise _NotNow
            try:
                self._context.storage.reserve(wanted.id, wanted.limit, wanted.suffix)
            except (UploadError, OSError) as error:
                raise _NotNow from error  # the queue says what is wrong, if it still is
