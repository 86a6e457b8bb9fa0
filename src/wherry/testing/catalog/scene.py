"""What the checks share: uploads to begin with, and ways to ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import fields
from typing import Any

import anyio

from wherry.catalog import Catalog
from wherry.core.assessment import Assessment
from wherry.core.ranges import Part, Range
from wherry.core.upload import Upload

#: Seconds after which a check that still waits has failed.
PATIENCE = 60.0


def new_upload(name: str, owner: str = "o", length: int = 100) -> Upload:
    return Upload(name, owner, "film.mp4", limit=length, length=length, chunk_size=10)


def check_full(record: Upload | Assessment) -> None:
    """Raises `AssertionError` where a field has its default: a new field must be tried, too."""
    for each in fields(record):
        assert getattr(record, each.name) not in (each.default, {}), f"{each.name} is not tried"


async def whole_upload(catalog: Catalog, name: str) -> None:
    """An upload with all its bytes."""
    await catalog.create(new_upload(name))
    await catalog.update(name, lambda u: u.lease(Range(0, 100), "t", 1.0))
    await catalog.update(name, lambda u: u.record("t", (Part(0, 100, 7, 1.0),)))


async def together(*calls: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """All of these at once, until every one has returned."""
    async with anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(call)


async def refused(expected: type[Exception], attempt: Callable[[], Awaitable[object]]) -> None:
    try:
        await attempt()
    except expected:
        return
    raise AssertionError(f"{expected.__name__} was not raised")
