"""What every proxy of the tests begins with: a port, and a task for each connection to it.

async with SomeProxy(...) as proxy: ... proxy.port ...
with SomeProxy(...).run_in_thread() as proxy: ...
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from anyio.from_thread import start_blocking_portal


class Acceptor(ABC):
    """Accepts connections on 127.0.0.1 while the block lasts. `port` 0: a free one."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)
        #: The port on 127.0.0.1, bound from the start.
        self.port = int(self._listener.getsockname()[1])
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def serve(self, connection: socket.socket) -> None:
        """Serve a connection to its end, and close it. It does not block."""

    async def __aenter__(self) -> Self:
        self._start(self._accept())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()

    @contextmanager
    def run_in_thread(self) -> Iterator[Self]:
        """Run on an event loop in another thread until the block ends."""
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(self):
            yield self

    async def _accept(self) -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            self._start(self.serve(connection))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
