"""What a decision costs while no entry fits: each open upload is looked at once, not per entry."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.test_admission import OPEN, moments, queues

from wherry.core import admission
from wherry.core.admission import Entry, OpenUpload, Queue, holding_since

MANY = 300


class Owner(str):
    """An owner that counts how often it is compared or looked up."""

    uses = 0

    def __eq__(self, other: object) -> bool:
        Owner.uses += 1
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        Owner.uses += 1
        return str.__ne__(self, other)

    def __hash__(self) -> int:
        Owner.uses += 1
        return str.__hash__(self)


def test_each_open_upload_is_counted_once_for_all_entries_that_do_not_fit() -> None:
    def uses(many: int) -> int:
        entries = tuple(Entry(f"{n:04}", Owner(f"w{n}"), 0.0, 10) for n in range(many))
        open_uploads = tuple(OpenUpload(Owner(f"o{n}"), 0, 0.0) for n in range(many))
        Owner.uses = 0
        assert Queue(entries, {}, (), open_uploads).admissible(OPEN, 0) == ()
        return Owner.uses

    # The product of both would be 16 times as many.
    assert uses(4 * MANY) < 6 * uses(MANY)


def hold_as_defined(
    room: admission._Room, entry: Entry, open_uploads: Sequence[OpenUpload], now: float
) -> None:
    """The rule, without anything that is remembered from one entry to the next."""
    others = [other for other in open_uploads if other.owner != entry.owner]
    reach = (room.free or 0) + sum(other.bytes for other in others)
    if room.is_held or entry.bytes > reach:
        return
    room.is_held = True
    begun = holding_since(entry.since, now)
    if begun is not None:
        late = sum(other.bytes for other in others if other.since > begun)
        room.beside = max(reach - late - entry.bytes, 0)


@given(queues(), st.integers(-5, 30), moments)
def test_uploads_hold_up_others_as_if_all_were_counted_for_each(
    queue: Queue, free: int, now: float
) -> None:
    with_memory = queue.admissible(OPEN, free, now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission._Room, "hold_for", hold_as_defined)
        assert queue.admissible(OPEN, free, now) == with_memory
