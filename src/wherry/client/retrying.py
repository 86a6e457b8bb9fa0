"""A small request, repeated until it is answered."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

from wherry.client.decisions import Next, Verb, what_next
from wherry.client.errors import Busy, ClientError, UnexpectedAnswer
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

    @property
    def pause(self) -> float:
        """Seconds until something may be sent."""
        return max(self.patience.until - time.monotonic(), 0.0)

    async def ask(
        self,
        verb: Verb,
        call: Callable[..., Awaitable[T]],
        *args: Any,
        is_progress: bool = True,
    ) -> T:
        """What `call(*args)` gives. Raises what repeating cannot mend.

        `is_progress`: that it gets through ends the trouble.
        """
        while True:
            await anyio.sleep(self.pause)
            began = time.monotonic()
            try:
                answer = await call(*args)
            except ClientError as error:
                after = what_next(error, verb)
                wrong_address = isinstance(error, UnexpectedAnswer) and not self._is_known
                if wrong_address or after not in (Next.WAIT, Next.RETRY):
                    raise
                if after is Next.WAIT:
                    self.patience.waits(error, time.monotonic())
                else:
                    self.patience.failed(error, began, time.monotonic(), jitter())
                # Somebody else is completing it: that takes its time, and is no trouble.
                if not isinstance(error, Busy):
                    self._on_trouble(error, self.pause)
            else:
                self._is_known = True
                self.patience.budget = self._budget
                if is_progress:
                    self.patience.progressed(began)
                return answer


def jitter() -> float:
    """A number from 0 to 1, to keep clients from coming back all at once."""
    return random.random()  # noqa: S311  # spreads requests, guards no secret
