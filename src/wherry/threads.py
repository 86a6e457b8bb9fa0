"""Calls that block, on threads beside the event loop.

Rule 1: the task that makes a call waits until the call has returned, also when the task is
cancelled. So when a request has ended, nothing of it goes on.

Rule 2: the loop is woken once for each call. A trip to a thread and back costs a third of what it
costs through `anyio.to_thread`, and there are several in each request.

Rule 3: the threads are daemons and end with the process. A forked process starts its own. Nothing
waits for a thread, only for its calls (rule 1).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

import anyio

T = TypeVar("T")

#: Threads that may wait for the disk at once; more would only queue in the kernel.
DISK_THREADS = 16
#: The same where they wait for an object store, each for one of many requests on their way.
STORE_THREADS = 64


class Call(Generic[T]):
    """A call on a thread. Its caller awaits `outcome`, which returns when the call has ended."""

    __slots__ = ("_call", "_context", "_error", "_loop", "_result", "_waiter", "is_over")

    def __init__(self, call: Callable[[], T]) -> None:
        self.is_over = False
        self._call = call
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] = self._loop.create_future()
        self._result: T | None = None
        self._error: BaseException | None = None

    # On the thread.

    def run(self) -> None:
        try:
            result = self._context.run(self._call)
        except BaseException as error:
            self.end(None, error)
        else:
            self.end_with(result)

    def end_with(self, result: T) -> None:
        self.end(result, None)

    def end(self, result: Any, error: BaseException | None) -> None:
        """Wake the task, from whatever thread."""
        self._result, self._error = result, error
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._wake)

    # In the event loop.

    @property
    def has_failed(self) -> bool:
        return self._error is not None

    def _wake(self) -> None:
        self.is_over = True
        if not self._waiter.done():
            self._waiter.set_result(None)

    async def outcome(self) -> T:
        """What the call returns or raises; `CancelledError` if the task was cancelled meanwhile."""
        if not self.is_over:
            try:
                await self._waiter
            except asyncio.CancelledError as cancelled:
                await self._end_of_cancelled(cancelled)
        if (error := self._error) is None:
            return self._result  # type: ignore[return-value]
        self._error = None
        try:
            raise error
        finally:
            del error  # it refers to this frame

    async def _end_of_cancelled(self, error: asyncio.CancelledError) -> None:
        """Wait for the end all the same, then raise. Only here, because a scope costs more."""
        with anyio.CancelScope(shield=True):
            while not self.is_over:
                self._waiter = self._loop.create_future()
                try:
                    await self._waiter
                except asyncio.CancelledError as again:
                    error = again
        self._error = None  # it refers to this call
        raise error


async def until_over(running: asyncio.Future[Any]) -> None:
    """Wait for the end of `running`, however often this task is cancelled; then raise that.

    A shielded scope does not do that alone: it keeps only anyio's cancelling out.
    """
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        try:
            raise cancelled
        finally:
            del cancelled  # it refers to this frame


class _Chain(Call[T]):
    """A call that returns a future, whose end is the end of the call."""

    __slots__ = ()

    def end_with(self, result: Any) -> None:
        result.add_done_callback(self._resolved)

    def _resolved(self, future: Future[T]) -> None:
        if future.cancelled():
            self.end(None, asyncio.CancelledError())
        elif (error := future.exception()) is not None:
            self.end(None, error)
        else:
            self.end(future.result(), None)


class _Threads:
    """Up to `most` threads, which are started when none is idle."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.reset()
        os.register_at_fork(after_in_child=self.reset)

    def allow(self, most: int) -> None:
        """Let there be `most` threads, or as many as before if those were more."""
        with self._lock:
            self._most = max(self._most, most)

    def reset(self) -> None:
        """Forget all threads: a fork has none of them."""
        self._calls: SimpleQueue[Call[Any]] = SimpleQueue()
        self._lock = Lock()
        self._started = 0
        self._free = 0  # threads that wait, less the calls that wait

    def run(self, call: Call[Any]) -> None:
        """Raises `RuntimeError` if not a single thread can be started."""
        with self._lock:
            self._free -= 1
            if self._free < 0 and self._started < self._most:
                self._start()
        self._calls.put(call)

    def _start(self) -> None:
        name = f"wherry-disk-{self._started + 1}"
        thread = Thread(target=self._work, args=(self._calls,), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._started:
                self._free += 1
                raise
            return  # the running threads take the call in turn
        self._started += 1
        self._free += 1

    def _work(self, calls: SimpleQueue[Call[Any]]) -> None:
        while True:
            call = calls.get()
            call.run()
            del call  # not held until the next one comes
            with self._lock:
                self._free += 1


_disk = _Threads(DISK_THREADS)


def wait_on_more_threads() -> None:
    """Let `STORE_THREADS` calls wait at once in this process, because they wait for a network."""
    _disk.allow(STORE_THREADS)


def started(call: Callable[[], T]) -> Call[T]:
    """`call()` on one of the threads for the disk, with the caller's context variables."""
    running = Call(call)
    _disk.run(running)
    return running


async def until_returned(call: Callable[[], T]) -> T:
    """What `call()` returns, on one of the threads for the disk (`started`).

    A task that is cancelled meanwhile, by anyio's scopes or by `asyncio.Task.cancel`, still waits
    until the call has returned: no thread writes for a request that has ended.
    """
    return await started(call).outcome()


async def until_resolved(call: Callable[[], Future[T]]) -> T:
    """`call()` on one of the threads for the disk; then what its future brings.

    So a chain of steps on several threads comes back to the event loop once. Cancelled, it waits
    for the end of the chain, as `until_returned` does.
    """
    running: _Chain[T] = _Chain(call)  # type: ignore[arg-type]
    _disk.run(running)
    return await running.outcome()
