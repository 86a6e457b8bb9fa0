"""A small request, repeated until it is answered."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

from wherry.client.errors import Busy, ClientError, NoRoom, UnexpectedAnswer
from wherry.client.plan import Patience

#: Seconds of trying to reach a server that has not answered yet: the address may be wrong.
FIRST_ANSWER = 30.0

T = TypeVar("T")


class Retrying:
    """`patience`: seconds without progress; `on_trouble` hears of each error and its pause."""

    def __init__(self, patience: float, on_trouble: Callable[[ClientError, float], None]) -> None:
        self.patience = Patience(min(FIRST_ANSWER, patience))
        self._budget = patience
        self._on_trouble = on_trouble
        self._is_known = False  # whether it is Wherry that answers at this address

    async def ask(self, call: Callable[..., Awaitable[T]], *args: Any) -> T:
        """What `call(*args)` gives. Raises what repeating cannot mend, and `Busy`."""
        while True:
            began = time.monotonic()
            try:
                answer = await call(*args)
            except NoRoom as full:
                self.patience.waits(full, time.monotonic())
                await self.pause(full)
            except ClientError as error:
                wrong_address = isinstance(error, UnexpectedAnswer) and not self._is_known
                if wrong_address or isinstance(error, Busy) or not error.retryable:
                    raise
                self.patience.failed(error, began, time.monotonic(), jitter())
                await self.pause(error)
            else:
                self._is_known = True
                self.patience.budget = self._budget
                self.patience.progressed()
                return answer

    async def pause(self, error: ClientError) -> None:
        seconds = max(self.patience.until - time.monotonic(), 0.0)
        self._on_trouble(error, seconds)
        await anyio.sleep(seconds)


def jitter() -> float:
    """A number from 0 to 1, to keep clients from coming back all at once."""
    return random.random()  # noqa: S311  # spreads requests, guards no secret
