"""How many requests a process works on at once, and the refusal of those that are too many.

A request costs memory until it is answered, and all of them share the threads and the event loop.
With a bound, memory is bounded, the requests that are admitted keep their speed, and the others
are told at once to come back, instead of waiting for an answer that comes too late.

Half of the places are for requests that go on with an upload. Slow clients that begin something
new, or too many of them, cannot keep out the chunks of uploads that were admitted.

Rule 1: a request counts until its answer is ready. Streams of events and downloads do not count
while they last.

Rule 2: a refusal is cheap: nothing is read or looked up for it, and it is logged at level debug.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle

from wherry.core.errors import Overloaded


class Load:
    """The requests in flight. `most`: how many there may be at once; None: any number."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._now = 0
        # So that those that are refused together do not come back together.
        self._pauses = cycle((1, 2, 3))

    @contextmanager
    def one_more(self, *, begins: bool) -> Iterator[None]:
        """Count one request while it is worked on. Raises `Overloaded`.

        `begins`: whether it begins an upload.
        """
        if self._most is not None:
            most = max(self._most // 2, 1) if begins else self._most
            if self._now >= most:
                raise Overloaded(next(self._pauses))
        self._now += 1
        try:
            yield
        finally:
            self._now -= 1
