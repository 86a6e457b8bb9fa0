"""Waits until something is so, as long as a busy machine may need."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds; only a failure waits that long.
TIMEOUT = 120.0


def wait_until(is_so: Callable[[], bool], every: float = 0.02) -> None:
    """`every`: how often to look, in seconds."""
    deadline = time.monotonic() + TIMEOUT
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(every)
