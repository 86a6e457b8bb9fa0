"""A small request, repeated until it gets an answer."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

from wherry.client.backoff import Backoff
from wherry.client.decisions import Next, Verb, what_next
from wherry.client.errors import Busy, ClientError, UnexpectedAnswer

#: How long to try a server that has never answered, in seconds: the address may be wrong.
FIRST_ANSWER = 30.0

T = TypeVar("T")


class Retrying:
    """`timeout`: seconds without progress. `on_trouble` is called with each error and its pause."""

    def __init__(self, timeout: float, on_trouble: Callable[[ClientError, float], None]) -> None:
        self.backoff = Backoff(min(FIRST_ANSWER, timeout))
        self._timeout = timeout
        self._on_trouble = on_trouble
        self._is_known = False  # whether Wherry has answered at this address

    @property
    def pause(self) -> float:
        """Seconds until the next request may be sent."""
        return max(self.backoff.until - time.monotonic(), 0.0)

    async def ask(
        self,
        verb: Verb,
        call: Callable[..., Awaitable[T]],
        *args: Any,
        is_progress: bool = True,
    ) -> T:
        """Returns the result of `call(*args)`. Raises errors that a further try cannot mend.

        After an error that means `LOOK`, the next `call` asks what the server has.
        `is_progress`: an answer counts as progress, and ends the trouble.
        """
        while True:
            await anyio.sleep(self.pause)
            began = time.monotonic()
            try:
                answer = await call(*args)
            except ClientError as error:
                after = what_next(error, verb)
                wrong_address = isinstance(error, UnexpectedAnswer) and not self._is_known
                if wrong_address or after not in (Next.WAIT, Next.RETRY, Next.LOOK):
                    raise
                if after is Next.WAIT:
                    self.backoff.waits(error, time.monotonic())
                else:
                    self.backoff.failed(error, began, time.monotonic(), jitter())
                # Another request is completing the upload. That takes its time, and is no trouble.
                if not isinstance(error, Busy):
                    self._on_trouble(error, self.pause)
            else:
                self._is_known = True
                self.backoff.timeout = self._timeout
                if is_progress:
                    self.backoff.progressed(began)
                return answer


def jitter() -> float:
    """A number from 0 to 1, so that clients do not all come back at once."""
    return random.random()  # noqa: S311  # spreads requests, guards no secret
