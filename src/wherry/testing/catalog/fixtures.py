"""What the checks share: uploads to begin with, concurrent calls, expected errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import fields
from typing import Any

import anyio

from wherry.catalog import Catalog
from wherry.core.assessment import Assessment
from wherry.core.paths import Path, Report
from wherry.core.ranges import Part, Range
from wherry.core.tickets import Ticket
from wherry.core.upload import Upload
from wherry.core.webhooks import Delivery

#: How long a check may take, in seconds.
CHECK_TIMEOUT = 60.0


def new_upload(name: str, owner: str = "o", length: int = 100) -> Upload:
    return Upload(name, owner, "film.mp4", limit=length, length=length, chunk_size=10)


def new_ticket(name: str, uploads: int = 1, owner: str = "o") -> Ticket:
    """A ticket that is valid until 100."""
    return Ticket(name, owner, "5" * 64, created_at=1.0, expires_at=100.0, uploads=uploads)


def check_no_defaults(record: Upload | Assessment | Delivery | Path | Report | Ticket) -> None:
    """Raises `AssertionError` if a field has its default, so that new fields are tested, too."""
    for each in fields(record):
        assert getattr(record, each.name) not in (each.default, {}), f"{each.name} is not tested"


async def create_whole_upload(catalog: Catalog, name: str) -> None:
    """Create an upload that has all its bytes."""
    await catalog.create(new_upload(name))
    await catalog.update(name, lambda u: u.lease(Range(0, 100), "t", 1.0))
    await catalog.update(name, lambda u: u.record("t", (Part(0, 100, 7, 1.0),)))


async def together(*calls: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run all of these at once, and wait until every one has returned."""
    async with anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(call)


async def raises(expected: type[Exception], attempt: Callable[[], Awaitable[object]]) -> None:
    """Raises `AssertionError` unless `attempt` raises `expected`."""
    try:
        await attempt()
    except expected:
        return
    raise AssertionError(f"{expected.__name__} was not raised")
