"""One run of an action for all tasks that wait for one.

The queue is read and advanced as a whole. When fifty uploads come at once, fifty runs one after
the other would make the last of them wait for all; one run serves them.

Rule 1: a task gets a run that has begun after it asked. So the run has seen what the task has
recorded before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedRun(Generic[T]):
    """Runs `act`, one run at a time."""

    def __init__(self, act: Callable[[], Awaitable[T]]) -> None:
        self._act = act
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """The result of the next run, or what it raises.

        A task that is cancelled stops waiting; the run goes on for the others.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._run())
            # Nobody may be left to hear of its error. `act` has logged what matters.
            self._next.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._next)

    async def _run(self) -> T:
        async with self._one_at_a_time:
            self._next = None  # tasks that ask from now on get another run
            return await self._act()
