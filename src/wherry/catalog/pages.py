"""Reading a whole list of the catalog, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

from wherry.core.pages import Cursor, Page, PageRequest

R = TypeVar("R")

#: How many records are in memory at once.
BATCH = 200


async def every_page(
    ask: Callable[[PageRequest], Awaitable[Page[R]]],
) -> AsyncGenerator[Page[R], None]:
    """All pages of a list, in order, also with records that are added at its end meanwhile."""
    after: Cursor | None = None
    while True:
        page = await ask(PageRequest(after, BATCH))
        yield page
        if (after := page.next) is None:
            return


async def every_record(ask: Callable[[PageRequest], Awaitable[Page[R]]]) -> AsyncIterator[R]:
    """All records of a list. Only one page is in memory at a time."""
    async for page in every_page(ask):
        for record in page:
            yield record
