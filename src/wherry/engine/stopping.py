"""Whether the server around us has been told to end."""

from __future__ import annotations

import signal


def is_server_stopping() -> bool:
    """Whether uvicorn, where that is what runs us, has been told to end.

    It waits for every open answer before it tells the application, and by default for as
    long as they take: a stream of events that waits to be told would wait for itself.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(server, "should_exit", None) is True
