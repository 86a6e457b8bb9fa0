"""Calls that block, on threads beside the event loop.

Rule 1: the task that makes a call waits until the call has returned, also when the task is
cancelled. So when a request has ended, nothing of it goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

T = TypeVar("T")

#: Threads that may wait for the disk at once; more would only queue in the kernel.
DISK_THREADS = 16
_disk: RunVar[anyio.CapacityLimiter] = RunVar("wherry_disk")


async def until_returned(call: Callable[[], T], limiter: anyio.CapacityLimiter | None = None) -> T:
    """`call()` on a thread; without a `limiter`, on one of the threads for the disk.

    A task that is cancelled meanwhile, by anyio's scopes or by `asyncio.Task.cancel`, still waits
    until the call has returned: no thread writes for a request that has ended.
    """
    if limiter is None:
        try:
            limiter = _disk.get()
        except LookupError:
            _disk.set(limiter := anyio.CapacityLimiter(DISK_THREADS))
    return await _shielded(asyncio.ensure_future(anyio.to_thread.run_sync(call, limiter=limiter)))


async def until_resolved(call: Callable[[], Future[T]]) -> T:
    """`call()` on one of the threads for the disk; then what its future brings.

    So a chain of steps on several threads comes back to the event loop once. Cancelled, it waits
    for the end of the chain, as `until_returned` does.
    """

    async def chain() -> T:
        return await asyncio.wrap_future(await until_returned(call))

    return await _shielded(asyncio.ensure_future(chain()))


async def _shielded(running: asyncio.Future[T]) -> T:
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        running.exception()
        raise cancelled
    return running.result()
