"""Whether the server that runs this process is shutting down."""

from __future__ import annotations

import signal


def is_server_stopping() -> bool:
    """Whether uvicorn, if it runs this process, is shutting down. False under other servers.

    Uvicorn notifies the application only after every open answer has ended, and by default
    waits for them without a limit. A stream of events that waited for this notification would
    wait for itself. So the stream asks here instead.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(server, "should_exit", None) is True
