"""The requests that are writing in this process, and how one of them is ended by another.

Rule 1: `end`, `end_all` and `end_older` return when the ended requests have let go of
everything: the last write to the disk has returned, the lock is gone, the lease is given back or
lost. The caller may then write into the same bytes, or delete them.

Rule 2: requests that come after that are not ended here. The caller of `end` has recorded before
that the upload has ended, so that the catalog refuses them their lease.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from wherry.core.ranges import Range


@dataclass(eq=False)
class OpenWrite:
    """One round of one request. `token` names it in the catalog.

    `scope`: cancelling it ends the round. `over`: set once the round has let go of everything.
    """

    upload_id: str
    range: Range
    token: str
    is_first: bool  #: Whether it is the first round of its request.
    is_limited: bool  #: Whether the limits hold for the size of its body.
    has_lease: bool = False
    kept_at: float = 0.0  #: When the upload was last recorded to be active because of it.
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    over: anyio.Event = field(default_factory=anyio.Event)


class OpenWrites:
    def __init__(self) -> None:
        self._open: list[OpenWrite] = []  # in the order in which they came

    @contextmanager
    def registered(self, mine: OpenWrite) -> Iterator[None]:
        """Until the end of this `with` block, others can end `mine`."""
        self._open.append(mine)
        try:
            yield
        finally:
            self._open.remove(mine)
            mine.over.set()

    def leased(self) -> list[OpenWrite]:
        """Those that have their range in the catalog."""
        return [write for write in self._open if write.has_lease]

    async def end_older(self, mine: OpenWrite) -> None:
        """End the requests for any of the same bytes that came before `mine`.

        Only those: of two requests, each waiting for the end of the other, none would end.
        """
        older = self._open[: self._open.index(mine)]
        same = [write for write in older if write.upload_id == mine.upload_id]
        await self._end([write for write in same if write.range.overlaps(mine.range)])

    async def end(self, upload_id: str) -> None:
        """End every request that writes into this upload."""
        await self._end([write for write in self._open if write.upload_id == upload_id])

    async def end_all(self) -> None:
        """End every request: the server stops, and clients can go on later."""
        await self._end(list(self._open))

    async def _end(self, writes: list[OpenWrite]) -> None:
        for write in writes:
            # Also before it has entered its scope: then it is cancelled as it enters.
            write.scope.cancel()
        for write in writes:
            await write.over.wait()
