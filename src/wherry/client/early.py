"""Notices an answer that comes while the body of its request is being sent.

A proxy refuses a request by its head, for example for its `Content-Length`. httpcore reads the
answer only when the whole body is sent, unless writing fails. So the streams of this module let it
fail.

Rule 1: not a byte that was read is lost: the next `read` returns it.

Rule 2: an interim answer (1xx) is not an answer.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import httpcore2
import httpx2

from wherry.client.chunk_size import PIECE
from wherry.client.rate import Rate

#: While a body is being sent: how long to wait for an answer before the next piece (seconds).
_pause: ContextVar[float | None] = ContextVar("pause", default=None)

#: Something has arrived. It may be TLS's own, and then no bytes follow within this time (seconds).
GLANCE = 0.01

_INTERIM = re.compile(rb"HTTP/1\.[01] 1\d\d.*?\r\n\r\n", re.DOTALL)
_BEGINNING = re.compile(rb"HTTP/1\.[01] [2-9]")


async def watched(
    body: bytes, pause: float, sent: Callable[[int], None] | None, rate: Rate | None = None
) -> AsyncIterator[bytes]:
    """The pieces of a body. After the first one, wait `pause` seconds for an answer.

    `rate`: the limit for all that is sent. Call `unwatch` when the request has ended.
    """
    for start in range(0, len(body), PIECE):
        _pause.set(pause if start == PIECE else 0.0)
        piece = body[start : start + PIECE]
        if rate is not None:
            await rate.take(len(piece))
        yield piece
        # Control comes back here when the transport asks for the next piece: this one is sent.
        if sent is not None:
            sent(len(piece))


def unwatch() -> None:
    _pause.set(None)


class Transport(httpx2.AsyncHTTPTransport):
    """httpx2's own, over streams that notice early answers."""

    def __init__(
        self,
        *,
        limits: httpx2.Limits,
        proxy: httpx2.Proxy | None,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(limits=limits, proxy=proxy, verify=verify or True)
        self._pool._network_backend = _Backend(self._pool._network_backend)


class _Backend(httpcore2.AsyncNetworkBackend):
    def __init__(self, backend: httpcore2.AsyncNetworkBackend) -> None:
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return _Stream(
            await self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        )

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class _Stream(httpcore2.AsyncNetworkStream):
    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self._early = b""
        self._has_ended = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self._early or self._has_ended:
            early, self._early = self._early[:max_bytes], self._early[max_bytes:]
            return early
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        pause = _pause.get()
        if buffer and pause is not None and await self._is_answered(pause):
            raise httpcore2.WriteError("The answer came before the body was sent.")
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    async def _is_answered(self, pause: float) -> bool:
        if pause or self._stream.get_extra_info("is_readable"):
            with suppress(httpcore2.ReadTimeout):
                read = await self._stream.read(PIECE, max(pause, GLANCE))
                self._early += read
                self._has_ended = not read
        final = _INTERIM.sub(b"", self._early)
        return self._has_ended or _BEGINNING.match(final) is not None
