"""Early verdicts: what an unfinished upload shows already, for those who ask.

Rule 1: nothing is done for an upload that nobody asks about, and no request that brings bytes
waits for a look.

Rule 2: one look at a time in this process, and `WAITING` that wait for it. A file is looked at
again only when it has the bytes that the last look lacked.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Protocol

from wherry.core.early_verdict import EarlyVerdict
from wherry.core.errors import UploadClosed
from wherry.core.limits import MiB
from wherry.core.ranges import Range
from wherry.core.upload import State, Upload
from wherry.engine.context import Context
from wherry.storage import StoredFile, Vanished

#: Smaller files are complete before a look at them is worth its while (bytes).
SMALLEST = 8 * MiB
#: The end of a file that is sent second is this share of it, and at least so many bytes. That is
#: more than the index of most videos has.
TAIL_SHARE, SMALLEST_TAIL = 100, 256 * 1024
#: The beginning without which there is nothing to see (bytes).
FIRST = 64 * 1024
#: How many requests may wait for a look.
WAITING = 8
#: The verdicts of so many uploads are remembered.
REMEMBERED = 1000


class Looks(Protocol):
    """What reads the bytes, outside this process."""

    def is_worthwhile(self, upload: Upload) -> bool:
        """Whether there may be something to see before the end."""

    def look(self, upload: Upload, file: StoredFile) -> EarlyVerdict:
        """What the received bytes show. Blocks; raises `OSError`."""


class EarlyVerdicts:
    def __init__(self, context: Context, looks: Looks | None) -> None:
        """`looks`: None where this process does not assess."""
        self._context, self._looks = context, looks
        self._known: OrderedDict[str, EarlyVerdict] = OrderedDict()
        self._alone = asyncio.Lock()
        self._waiting = 0

    def tail_of(self, upload: Upload) -> int | None:
        """How many bytes of the end should come second; None: there will be no early verdict."""
        length = upload.length
        if self._problem(upload) is not None or length is None or length < SMALLEST:
            return None
        return max(length // TAIL_SHARE, SMALLEST_TAIL)

    async def verdict_on(self, upload: Upload) -> EarlyVerdict:
        """What the upload shows. Raises `UploadClosed` if it has all bytes, or has ended."""
        if upload.state not in {State.RECEIVING, State.WAITING}:
            raise UploadClosed(upload.state.value)
        if (problem := self._problem(upload)) is not None:
            return EarlyVerdict(problem=problem)
        if not upload.received.size:
            return EarlyVerdict(needs=Range(0, min(upload.length or 0, FIRST)))
        if (known := self._still_known(upload)) is not None:
            return known
        if self._waiting >= WAITING:
            return EarlyVerdict(problem="The server looks at too many other files.")
        self._waiting += 1
        try:
            async with self._alone:
                found = self._still_known(upload) or await self._look(upload)
        finally:
            self._waiting -= 1
        self._known[upload.id] = found
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found

    def _problem(self, upload: Upload) -> str | None:
        if self._looks is None:
            return "This server does not assess videos."
        if self._context.storage.parts is not None:
            return "The storage of this server cannot read a file before it is complete."
        if upload.length is None:
            return "The length of the file is not known yet."
        if not self._looks.is_worthwhile(upload):
            return "Neither the name nor the type of the file calls it a video or sound."
        return None

    def _still_known(self, upload: Upload) -> EarlyVerdict | None:
        known = self._known.get(upload.id)
        if known is None or known.needs is None:
            return known
        return known if upload.received.missing(known.needs, 1) else None

    async def _look(self, upload: Upload) -> EarlyVerdict:
        def look() -> EarlyVerdict:
            assert self._looks is not None  # noqa: S101 - `_problem`
            file = self._context.storage.unfinished_file(upload.id, upload.length or 0)
            return self._looks.look(upload, file)

        try:
            return await self._context.on_thread(look)
        except Vanished:
            return EarlyVerdict(problem="The upload has ended.")
