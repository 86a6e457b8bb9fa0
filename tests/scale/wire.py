"""A way of a server to another one that can be cut, like a network.

While it is cut, no byte passes in either direction, and no connection ends: as with packets that
are lost, each side only notices that nothing comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Self

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.from_thread import start_blocking_portal

_LOST = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Wire:
    """Listens on `port` of this machine, and passes everything on to the port `to`."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._passes = asyncio.Event()
        self.port = 0

    @contextmanager
    def open(self) -> Iterator[Self]:
        with (
            start_blocking_portal() as self._portal,
            self._portal.wrap_async_context_manager(self._listening()),
        ):
            yield self

    def cut(self) -> None:
        self._portal.call(self._passes.clear)

    def mend(self) -> None:
        self._portal.call(self._passes.set)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        self._passes.set()
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self.port = listener.extra(SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as serving:
            serving.start_soon(listener.serve, self._connect)
            yield
            serving.cancel_scope.cancel()

    async def _connect(self, near: SocketStream) -> None:
        async with near:
            await self._passes.wait()
            with suppress(*_LOST):
                async with (
                    await anyio.connect_tcp("127.0.0.1", self._to) as far,
                    anyio.create_task_group() as both,
                ):
                    both.start_soon(self._pass, near, far)
                    both.start_soon(self._pass, far, near)
            await self._passes.wait()

    async def _pass(self, source: SocketStream, to: SocketStream) -> None:
        with suppress(*_LOST):
            async for data in source:
                await self._passes.wait()
                await to.send(data)
            await self._passes.wait()
            await to.send_eof()
