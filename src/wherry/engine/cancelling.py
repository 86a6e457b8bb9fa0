"""The verb cancel: an upload is given up, and its space is free when the answer comes.

Rule 1: the record first, then the bytes. A crash between the two leaves bytes that no
record promises, and the sweep deletes them.
"""

from __future__ import annotations

from wherry.core.requests import Caller
from wherry.core.rights import latest_end
from wherry.core.upload import HOLDS_SPACE, State, Upload
from wherry.engine.admitting import Admitting
from wherry.engine.context import Context
from wherry.engine.writing import Writing
from wherry.events import Event


class Cancelling:
    def __init__(self, context: Context, admitting: Admitting, writing: Writing) -> None:
        self._context = context
        self._admitting = admitting
        self._writing = writing

    async def cancel(self, caller: Caller, upload_id: str, *, everybody: bool = False) -> Upload:
        """The cancelled upload. Raises as `Engine.cancel` does."""
        before = await self._context.load(caller, upload_id, everybody=everybody)
        if before.state in HOLDS_SPACE:
            # The lease alone is not enough: a process that was stopped for longer than its lease
            # may be in the middle of a hook, and goes on with it when it is woken up. A
            # completion without hooks has no lease, and may be about to name the file.
            async with self._context.locked(upload_id):
                return await self._cancel(before)
        if before.state is State.WAITING:
            # Another task may be admitting it: it has reserved the space and is about to
            # record so. Only after that is there something that can be deleted.
            async with self._admitting.alone():
                return await self._cancel(before)
        return await self._cancel(before)

    async def _cancel(self, before: Upload) -> Upload:
        context, now, upload_id = self._context, self._context.clock(), before.id
        until = latest_end(now, context.settings.completion_lease)
        upload = await context.catalog.update(upload_id, lambda u: u.cancel(now, until))
        await self._writing.end(upload_id)
        # A crash here leaves the folder of a cancelled upload: the sweep deletes it.
        await context.remove(upload)
        if before.state is not upload.state:
            context.log_event(Event.CANCELLED, upload)
        return upload
