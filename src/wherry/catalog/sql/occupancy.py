"""How many uploads each owner has open and how many bytes they reserve, updated with each change.

A new upload needs these sums. Adding them up costs more with every upload, so it is done once.

Rule 1: this is exactly what `queries.queue` would find in the same transaction. Where that is not
certain, it is read again: when an upload waits, and when a slot ends between both moments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wherry.core.admission import Taken
from wherry.core.upload import HOLDS_SPACE, Upload


@dataclass(slots=True)
class _Owner:
    """How many uploads hold space, how many of them are open, and the bytes of all."""

    holding: int = 0
    open: int = 0
    reserved: int = 0


@dataclass(slots=True)
class _Between:
    """A moment, and the ends of slots next to it. Between them, nothing differs. None: no end."""

    at: float
    last: float | None = None
    next: float | None = None

    def narrow(self, end: float) -> None:
        if end <= self.at:
            self.last = end if self.last is None else max(self.last, end)
        else:
            self.next = end if self.next is None else min(self.next, end)

    def has(self, at: float) -> bool:
        return (self.last is None or self.last <= at) and (self.next is None or at < self.next)


class Occupancy:
    """What is taken at `now`; slots that end after `latest` are over. No upload waits."""

    def __init__(self, now: float, latest: float) -> None:
        self._now, self._latest = _Between(now), _Between(latest)
        self._owners: dict[str, _Owner] = {}

    def count(self, owner: str, holding: int, open_: int, reserved: int) -> None:
        """Add what the uploads of one owner take."""
        self._owners[owner] = _Owner(holding, open_, reserved)

    def narrow(self, ends: Iterable[float | None]) -> None:
        """Take note of slots that end at these moments."""
        for end in ends:
            if end is not None:
                self._now.narrow(end)
                self._latest.narrow(end)

    def is_true_at(self, now: float, latest: float) -> bool:
        """Whether the same uploads are open at that moment."""
        return self._now.has(now) and self._latest.has(latest)

    def taken(self) -> dict[str, Taken]:
        return {name: Taken(owner.open, owner.reserved) for name, owner in self._owners.items()}

    def change(self, before: Upload | None, after: Upload) -> bool:
        """Replace an upload. False if this cannot be counted, because one of them waits."""
        if after.queued_at is not None or (before is not None and before.queued_at is not None):
            return False
        if before is not None:
            self._add(before, -1)
        self._add(after, 1)
        return True

    def _add(self, upload: Upload, count: int) -> None:
        if upload.state not in HOLDS_SPACE:
            return
        owner = self._owners.setdefault(upload.owner, _Owner())
        owner.holding += count
        owner.open += count * upload.is_open(self._now.at, self._latest.at)
        owner.reserved += count * upload.limit
        if not owner.holding:
            del self._owners[upload.owner]
        if count > 0:
            self.narrow([upload.slot_until])
