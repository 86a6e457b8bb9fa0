"""Small requests of one kind that are wanted at the same time become one.

While one request is under way, those that come wait, and are the next one together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio

K = TypeVar("K")
A = TypeVar("A")
R = TypeVar("R")


@dataclass(eq=False)
class _Batch(Generic[K, A, R]):
    asked: dict[K, A] = field(default_factory=dict)
    answer: R | None = None
    error: Exception | None = None
    is_over: bool = False


class Gathering(Generic[K, A, R]):
    """`ask`: makes one request for up to `most` of them. All of these get its answer or error."""

    def __init__(self, ask: Callable[[Mapping[K, A]], Awaitable[R]], most: int) -> None:
        self._ask = ask
        self._most = most
        self._next: _Batch[K, A, R] = _Batch()
        self._one_at_a_time = anyio.Lock()

    async def __call__(self, key: K, argument: A) -> R:
        if len(self._next.asked) >= self._most:
            self._next = _Batch()
        batch = self._next
        batch.asked[key] = argument
        async with self._one_at_a_time:
            if not batch.is_over:
                if self._next is batch:
                    self._next = _Batch()
                await self._carry_out(batch)
        if batch.error is not None:
            raise batch.error
        return batch.answer  # type: ignore[return-value] # there is one, as there is no error

    async def _carry_out(self, batch: _Batch[K, A, R]) -> None:
        """If this is cancelled, the next one that waits for the batch asks again."""
        try:
            batch.answer = await self._ask(batch.asked)
        except Exception as error:
            batch.error = error
        batch.is_over = True
