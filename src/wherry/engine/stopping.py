"""Whether the server that runs this process is shutting down, and how long requests may go on.

Uvicorn notifies the application only after every open answer has ended, and by default waits for
them without a limit. A stream of events that waited for this notification would wait for itself.
So the code that has to end asks here instead.
"""

from __future__ import annotations

import signal
from typing import Any

#: Requests are ended so long before the end of the grace period, in seconds: what has arrived is
#: recorded, and the answers are sent.
RESERVE = 2.0
#: Uvicorn cancels the requests that are left so long before the end, in seconds. The background
#: tasks end after that.
CANCEL_BEFORE = 0.5


def is_server_stopping() -> bool:
    """Whether uvicorn, if it runs this process, is shutting down. False under other servers."""
    return getattr(running_server(), "should_exit", None) is True


def time_for_requests(grace_period: float) -> float:
    """How long requests may go on once the server is stopping, in seconds.

    Uvicorn cancels requests when its `timeout_graceful_shutdown` is over, and nothing of them is
    recorded then. So they end before that, if it is shorter than `grace_period`.
    """
    timeout = getattr(getattr(running_server(), "config", None), "timeout_graceful_shutdown", None)
    if isinstance(timeout, int | float):
        grace_period = min(grace_period, timeout + CANCEL_BEFORE)
    return max(grace_period - RESERVE, grace_period / 2)


def running_server() -> Any:
    """The server whose method handles SIGTERM, as uvicorn's does; None if there is no such."""
    return getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
