"""What a crash leaves of a file that was put into storage before its record.

Rule 1: the record decides. It is read while no other process can have the file, so no process
can be between the two.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress

from wherry.core.errors import UploadNotFound
from wherry.engine.context import Context
from wherry.storage import Arrival


async def settle(context: Context, upload_id: str) -> bool:
    """Keep the file if its upload is complete and has it, else remove it. False: there is none.

    A request that repeats a key may have put a file with another suffix beside the recorded one.

    Raises `RangeLocked` while the process that has put it lives.
    """
    with ExitStack() as held:

        def take() -> Arrival | None:
            # A caller that is cancelled meanwhile never sees the file; the stack lets go of it.
            found = context.storage.reclaim(upload_id)
            return None if found is None else held.enter_context(found)

        arrival = await context.on_thread(take)
        if arrival is None:
            return False
        recorded = None
        with suppress(UploadNotFound):
            upload = await context.catalog.load(upload_id)
            if upload.is_complete() and upload.discarded_at is None:
                recorded = upload.suffix
        await context.on_thread(arrival.drop, recorded)
        return True
