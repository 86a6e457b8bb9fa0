"""The requests that are writing in this process, and how one of them is ended by another.

Rule 1: `end`, `end_all` and `end_older` return when the ended requests have let go of
everything: the last write to the disk has returned, the lock is gone, the lease is given back or
lost. The caller may then write into the same bytes, or delete them.

Rule 2: requests that come after that are not ended here. The caller of `end` has recorded before
that the upload has ended, so that the catalog refuses them.

Rule 3: which of two requests is newer is decided by `number`, in the order in which requests
came, and not by the order of their rounds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock

import anyio

from wherry.core.limits import Limits
from wherry.core.ranges import Range
from wherry.core.requests import Caller
from wherry.core.upload import Upload


@dataclass(eq=False)
class OpenWrite:
    """One round of one request. `token` names it in the catalog.

    `scope`: cancelling it ends the round. `over`: set once the round has let go of everything.
    """

    caller: Caller
    upload_id: str
    range: Range
    whole: Range  #: All that is left of the body, from this round on.
    token: str
    number: int  #: Of its request; newer requests have higher ones.
    begun: float  #: When the round began, by the event loop's clock.
    #: The round before it; None: there is none. Forgotten when this one is over.
    earlier: OpenWrite | None
    is_first: bool  #: Whether it is the first round of its request.
    is_limited: bool  #: Whether the limits hold for the size of its body.
    is_open: bool = False  #: Whether it has its range of the file, and may write.
    has_lease: bool = False
    kept_at: float = 0.0  #: When the upload was last recorded to be active because of it.
    #: Held while its lease or its record is asked for. The record comes last, because it ends both.
    asking: Lock = field(default_factory=Lock)
    is_recording: bool = False
    is_recorded: bool = False
    is_stopped: bool = False  #: Whether the server has ended it because it stops.
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    over: anyio.Event = field(default_factory=anyio.Event)

    def check(self, upload: Upload, limits: Limits) -> None:
        """Raises what the client is told if it may not write this into `upload`."""
        upload.check_owner(self.caller)
        upload.check_takes_bytes()
        # All that is left of the body must fit into the upload, and not only what this
        # round takes: a body that is too long is refused before a byte of it is recorded.
        upload.check_inside(self.whole)
        # The limits hold for the body, and not for what is left of it in later rounds.
        if self.is_limited and self.is_first:
            limits.check_chunk(self.whole, upload.length)


class OpenWrites:
    def __init__(self) -> None:
        self._open: dict[str, list[OpenWrite]] = {}

    def add(self, mine: OpenWrite) -> None:
        """Until `remove`, others can end `mine`."""
        self._open.setdefault(mine.upload_id, []).append(mine)

    def remove(self, mine: OpenWrite) -> None:
        """It has let go of everything."""
        same = self._open[mine.upload_id]
        same.remove(mine)
        if not same:
            del self._open[mine.upload_id]
        mine.earlier = None  # which has an earlier one itself
        mine.over.set()

    def all(self) -> list[OpenWrite]:
        return [write for writes in self._open.values() for write in writes]

    def older(self, mine: OpenWrite) -> list[OpenWrite]:
        """The rounds of older requests that have any of the bytes of `mine` or of later rounds.

        Only those: of two requests, each waiting for the end of the other, none would end.
        """
        return [
            write
            for write in self._open[mine.upload_id]
            if write.number < mine.number and write.range.overlaps(mine.whole)
        ]

    async def end_older(self, mine: OpenWrite) -> None:
        """End the older requests for any of the same bytes."""
        await self._end(self.older(mine))

    async def end(self, upload_id: str) -> None:
        """End every request that writes into this upload."""
        await self._end(list(self._open.get(upload_id, ())))

    async def end_all(self) -> None:
        """End every request: the server stops. What has arrived of them is recorded."""
        writes = self.all()
        for write in writes:
            write.is_stopped = True
        await self._end(writes)

    async def _end(self, writes: Iterable[OpenWrite]) -> None:
        writes = list(writes)
        for write in writes:
            # Also before it has entered its scope: then it is cancelled as it enters.
            write.scope.cancel()
        for write in writes:
            await write.over.wait()
