"""What the storage has and no record knows: found, and ended.

Rule 1: a finished file is wanted while its record is complete and not discarded, and while its
upload has not ended. The record is read under the lock of the upload's key, so no request brings
the same upload anew meanwhile.

Rule 2: what is younger than an hour is left alone, as the sweep leaves it (sweeping.py, rule 2).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext

from wherry.core.errors import Busy, UploadNotFound
from wherry.core.upload import UNFINISHED
from wherry.engine.context import Context
from wherry.engine.sweeping import ORPHAN_GRACE
from wherry.storage import Stray


async def reconcile(context: Context, *, dry_run: bool) -> AsyncIterator[Stray]:
    """What was ended, or would be. Raises `StorageFailed`."""
    parts = context.storage.parts
    if parts is None:
        return
    found: Iterator[Stray] = parts.strays(context.date() - ORPHAN_GRACE)
    while (stray := await context.on_thread(next, found, None)) is not None:
        try:
            async with _alone(context, stray.upload_id):
                if await _is_wanted(context, stray):
                    continue
                if not dry_run:
                    await context.on_thread(parts.end_stray, stray)
        except Busy:  # the upload is being received
            continue
        yield stray


def _alone(context: Context, upload_id: str | None) -> AbstractAsyncContextManager[None]:
    """Raises `Busy`."""
    return nullcontext() if upload_id is None else context.alone(upload_id)


async def _is_wanted(context: Context, stray: Stray) -> bool:
    if stray.upload_id is None or stray.multipart is not None:
        return False  # no marker names it, so no byte of it is recorded
    try:
        upload = await context.catalog.load(stray.upload_id)
    except UploadNotFound:
        return False
    if upload.state in UNFINISHED:
        return True
    is_kept = upload.is_complete() and upload.discarded_at is None
    return is_kept and upload.suffix == stray.suffix
