"""A relay between a client and a proxy: it counts what the client sends, and may be a slow line.

    with Relay(port).run_in_thread() as relay: ... relay.port ... relay.counts()

Rule 1: bytes pass unchanged. The HTTP/1.1 in them is only read along, so that each request's body
is counted as it crosses, whatever the client reports. TLS is counted in bytes only.

Rule 2: a reset of one side becomes a reset of the other, as on a real path.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httptools

from wherry.testing.acceptor import Acceptor

READ = 1 << 18
#: On a slow line, pieces and buffers are small, so that what is counted has crossed the line.
SLOW_READ = 1 << 14
SLOW_BUFFER = 1 << 16
#: Headers by which an answer is known as Wherry's own, with what must be in their value.
OURS = {b"content-type": b"application/problem+json", b"wherry-error": b"", b"wherry-refusal": b""}


@dataclass
class Exchange:
    """One request as it crossed the relay. `sent`: bytes of its body. `status`: 0: no answer."""

    method: str = ""
    target: str = ""
    sent: int = 0
    status: int = 0
    is_ours: bool = False

    @property
    def is_wasted(self) -> bool:
        """Whether a body was sent and not accepted."""
        return self.sent > 0 and not 200 <= self.status < 300


@dataclass(frozen=True)
class Counts:
    """Of all requests so far. `received`: bytes from clients, with headers and TLS."""

    requests: int = 0
    wasted: int = 0
    thrown_away: int = 0
    received: int = 0

    def __sub__(self, other: Counts) -> Counts:
        return Counts(
            self.requests - other.requests,
            self.wasted - other.wasted,
            self.thrown_away - other.thrown_away,
            self.received - other.received,
        )


class Relay(Acceptor):
    """`rate`: bytes a second from all clients together; None: as fast as it goes."""

    def __init__(self, upstream: int, rate: int | None = None, is_tls: bool = False) -> None:
        super().__init__()
        self.exchanges: list[Exchange] = []
        self._upstream = upstream
        self._rate = rate
        self._is_tls = is_tls
        self._received = 0
        self._free_at = 0.0
        if rate is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_BUFFER)

    def counts(self) -> Counts:
        wasted = [each for each in self.exchanges if each.is_wasted]
        thrown = sum(each.sent for each in wasted)
        return Counts(len(self.exchanges), len(wasted), thrown, self._received)

    async def serve(self, connection: socket.socket) -> None:
        """Carry one connection, from its beginning to its end."""
        loop = asyncio.get_running_loop()
        with connection as client, socket.socket() as proxy:
            for side in (client, proxy):
                side.setblocking(False)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader = Reader([] if self._is_tls else self.exchanges, is_on=not self._is_tls)
            try:
                await loop.sock_connect(proxy, ("127.0.0.1", self._upstream))
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._send(client, proxy, reader))
                    both.create_task(_answer(proxy, client, reader))
            except* OSError:
                for side in (client, proxy):
                    _reset_when_closed(side)

    async def _send(self, client: socket.socket, proxy: socket.socket, reader: Reader) -> None:
        loop = asyncio.get_running_loop()
        size = READ if self._rate is None else SLOW_READ
        while data := await loop.sock_recv(client, size):
            self._received += len(data)
            reader.sent(data)
            await self._cross(len(data))
            try:
                await loop.sock_sendall(proxy, data)
            except OSError:
                return  # The answer may have come before; `_answer` reads it and meets the error.
        with suppress(OSError):
            proxy.shutdown(socket.SHUT_WR)

    async def _cross(self, size: int) -> None:
        """Wait as long as the line needs for so many bytes."""
        if self._rate is not None:
            now = asyncio.get_running_loop().time()
            self._free_at = max(now, self._free_at) + size / self._rate
            await asyncio.sleep(self._free_at - now)


async def _answer(proxy: socket.socket, client: socket.socket, reader: Reader) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(proxy, READ):
        reader.answered(data)
        await loop.sock_sendall(client, data)
    with suppress(OSError):
        client.shutdown(socket.SHUT_WR)


def _reset_when_closed(side: socket.socket) -> None:
    with suppress(OSError):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Reader:
    """Reads along the HTTP/1.1 of one connection, and adds its requests to `exchanges`."""

    def __init__(self, exchanges: list[Exchange], is_on: bool) -> None:
        self._exchanges = exchanges
        self._open: list[Exchange] = []
        self._requests: Any = httptools.HttpRequestParser(_Requests(self)) if is_on else None
        self._answers: Any = httptools.HttpResponseParser(_Answers(self)) if is_on else None

    def sent(self, data: bytes) -> None:
        self._requests = self._feed(self._requests, data)

    def answered(self, data: bytes) -> None:
        self._answers = self._feed(self._answers, data)

    @staticmethod
    def _feed(parser: Any, data: bytes) -> Any:
        """The parser; None once it can read no further."""
        if parser is not None:
            try:
                parser.feed_data(data)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade):
                return None
        return parser

    def began(self, target: str) -> None:
        exchange = Exchange(target=target)
        self._open.append(exchange)
        self._exchanges.append(exchange)

    def has_head(self) -> None:
        self._open[-1].method = self._requests.get_method().decode()

    def has_body(self, size: int) -> None:
        self._open[-1].sent += size

    def was_answered(self, is_ours: bool) -> None:
        """A whole head of an answer has come; an interim one changes nothing."""
        status = self._answers.get_status_code()
        waiting = [each for each in self._open if each.status == 0]
        if status >= 200 and waiting:
            waiting[0].status, waiting[0].is_ours = status, is_ours


class _Requests:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._target = b""

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_headers_complete(self) -> None:
        self._reader.began(self._target.decode("latin-1"))
        self._reader.has_head()
        self._target = b""

    def on_body(self, body: bytes) -> None:
        self._reader.has_body(len(body))


class _Answers:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._is_ours = False

    def on_message_begin(self) -> None:
        self._is_ours = False

    def on_header(self, name: bytes, value: bytes) -> None:
        wanted = OURS.get(name.lower())
        self._is_ours = self._is_ours or (wanted is not None and wanted in value)

    def on_headers_complete(self) -> None:
        self._reader.was_answered(self._is_ours)
