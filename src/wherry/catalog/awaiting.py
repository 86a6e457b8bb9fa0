"""Awaiting what a thread resolves, with one wake-up of the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def until_done(submitted: Future[T]) -> T:
    """What `submitted` brings. Cancelled, it cancels that, too, unless it has begun.

    `asyncio.wrap_future` does the same at twice the cost.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not answer.done():
            answer.set_result(None)

    def resolved(_: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(wake)

    submitted.add_done_callback(resolved)
    try:
        await answer
    except asyncio.CancelledError:
        submitted.cancel()
        raise
    return submitted.result()
