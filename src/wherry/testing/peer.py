"""One connection of the limiting proxy: reads HTTP events from a socket, and sends them.

Rule 1: a read is never cancelled, because its bytes may be the beginning of another request. If
the caller that waits for it is cancelled, the bytes go to the next caller.

Rule 2: it uses sockets, not asyncio's streams. When a write fails, a stream also drops what it has
read, and that may be the answer that explains why.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NoReturn

import h11

#: How many bytes one read returns at most.
READ = 1 << 16
#: How long the rest of a refused body is read and dropped, in seconds; as nginx's lingering_time.
_LINGER = 30.0
#: Headers that are not passed on. RFC 9110 section 7.6.1: they are for one connection only. The
#: proxy answers `Expect` itself.
_HOP = frozenset(
    [b"connection", b"expect", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"]
)


class Gone(Exception):
    """This connection has ended, or has to end now."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer


class Peer:
    """The other side of a connection. Every method raises `Gone` when the connection ends."""

    def __init__(self, connection: socket.socket, role: type[h11.CLIENT | h11.SERVER]) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.http = h11.Connection(role)
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._receiving: asyncio.Task[bytes] | None = None
        self._is_head = False

    async def next(self) -> h11.Event | type[h11.PAUSED]:
        """The next event that is not the end of the connection."""
        while (event := self._next_event()) is h11.NEED_DATA:
            if self.http.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.http.receive_data(await self._receive())
        if isinstance(event, h11.ConnectionClosed):
            raise Gone(self)
        if isinstance(event, h11.Request):
            self._is_head = event.method == b"HEAD"
        return event  # type: ignore[return-value]  # NEED_DATA is handled above

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self.http.next_event()
        except h11.RemoteProtocolError:
            raise Gone(self) from None

    async def data(self) -> bytes:
        """The next bytes of the body; empty at its end."""
        event = await self.next()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def _receive(self) -> bytes:
        if self._receiving is None:
            self._receiving = self._loop.create_task(self._loop.sock_recv(self._socket, READ))
        try:
            data = await asyncio.shield(self._receiving)
        except OSError:
            raise Gone(self) from None
        self._receiving = None
        return data

    async def send(self, event: h11.Event) -> None:
        """Send an event."""
        if isinstance(event, h11.Response) and self.http.they_are_waiting_for_100_continue:
            # The client may send the body or leave it out, so nothing after this answer could be
            # told from the body. The connection has to close.
            event = h11.Response(
                status_code=event.status_code,
                reason=event.reason,
                headers=[*event.headers, (b"connection", b"close")],
            )
        try:
            data = self.http.send(event)
            if data:
                await self._loop.sock_sendall(self._socket, data)
        except (OSError, h11.LocalProtocolError):
            raise Gone(self) from None

    async def answer(
        self, status: int, retry_after: int | None = None, closes: bool = False
    ) -> None:
        """Send a page of the proxy itself, which cannot be mistaken for one of the upstream."""
        title = f"{status} {HTTPStatus(status).phrase}"
        page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
        headers = [("content-type", "text/html"), ("content-length", str(len(page)))]
        if retry_after is not None:
            headers.append(("retry-after", str(retry_after)))
        if closes:
            headers.append(("connection", "close"))
        await self.send(h11.Response(status_code=status, headers=headers))
        if not self._is_head:
            await self.send(h11.Data(data=page.encode()))
        await self.send(h11.EndOfMessage())

    async def is_ready_for_more(self) -> bool:
        """Drop what is left of the body. Returns whether another request may follow."""
        if self.http.our_state is not h11.DONE:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while self.http.their_state is h11.SEND_BODY:
                    await self.next()
        return self.http.their_state is h11.DONE

    async def wait_closed(self) -> NoReturn:
        """Wait until the other side closes. Bytes of its next request are kept."""
        while data := await self._receive():
            self.http.receive_data(data)
        raise Gone(self)

    async def linger(self) -> None:
        """Close the sending direction, and read on until the client has closed the other one."""
        with suppress(TimeoutError, OSError):
            self._socket.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_LINGER):
                while await self._receive():
                    pass

    async def reset(self, after: int) -> NoReturn:
        """Reset the connection once `after` bytes of the body have come."""
        got = 0
        while got <= after and (data := await self.data()):
            got += len(data)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone(self)

    async def close(self) -> None:
        """Close at once. This resets the connection if bytes are unread, or after `reset`."""
        try:
            if self._receiving is not None:
                self._receiving.cancel()
                await asyncio.gather(self._receiving, return_exceptions=True)
        finally:
            self._socket.close()


def body_length(request: h11.Request) -> int | None:
    """The declared length of the body in bytes; None for a chunked body."""
    headers = dict(request.headers)
    if b"transfer-encoding" in headers:
        return None
    return int(headers.get(b"content-length", b"0"))


def forwarded(event: Any) -> Any:
    """The event in the form in which it is sent on the other connection."""
    if isinstance(event, h11.EndOfMessage):
        return h11.EndOfMessage()
    if isinstance(event, h11.Data):
        return event
    headers = [(name, value) for name, value in event.headers if name not in _HOP]
    if isinstance(event, h11.Request):
        headers.append((b"connection", b"close"))
        return h11.Request(method=event.method, target=event.target, headers=headers)
    return type(event)(status_code=event.status_code, reason=event.reason, headers=headers)
