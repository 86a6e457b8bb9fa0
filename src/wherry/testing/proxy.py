"""A reverse proxy that limits request bodies, like the proxies in front of servers, and that can
inject faults.

    async with LimitingProxy("127.0.0.1", port, max_body=MiB) as proxy: ... proxy.url ...
    with LimitingProxy("127.0.0.1", port).run_in_thread() as proxy: ...

Rule 1: like nginx, it answers with its own 413 page as soon as it knows that a body is too large,
and then reads on for a while. If it closed the connection at once, the connection would be
reset, and the client could lose the answer before it has read it.

Rule 2: everything else passes unbuffered in both directions, over a new connection to the upstream
for each request.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any, NoReturn

import h11

from wherry.core.limits import MiB
from wherry.testing.acceptor import Acceptor
from wherry.testing.peer import READ, Gone, Peer, body_length, forwarded


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong, and with which requests. Several faults can hit the same request.

    A fault is for requests whose target contains `path` and whose declared body has more than
    `over` bytes. Of these, it hits each `every`th, at most `times` times.
    """

    path: str = ""
    over: int = -1
    every: int = 1
    times: int | None = None

    delay: float = 0.0  #: Wait so many seconds before anything else.
    #: Reset the connection without an answer, after so many bytes of a longer body. The upstream
    #: gets no request.
    reset_at: int | None = None
    #: Pass so many bytes of the body on, then close both connections.
    cut_after: int | None = None
    #: Answer with this status, and with `Retry-After` in seconds, instead of the upstream.
    status: int | None = None
    retry_after: int | None = None
    #: Read the whole body before that.
    is_late: bool = False
    #: Close both connections so many seconds after the head of the request.
    ends_after: float | None = None
    #: Send the request to the upstream twice, and pass on the second answer.
    is_duplicated: bool = False
    #: Let the upstream handle the request, then close without passing on its answer.
    drops_answer: bool = False

    def is_for(self, target: str, length: int | None) -> bool:
        """Whether it is for this request. `length`: of the body in bytes; None if not declared."""
        return self.path in target and (self.over < 0 or (length or 0) > self.over)


class LimitingProxy(Acceptor):
    """Passes HTTP/1.1 on to an upstream, and refuses bodies above `max_body` bytes.

    `max_body` None: no limit. `port` 0: a free port of 127.0.0.1.
    """

    def __init__(
        self,
        upstream_host: str,
        upstream_port: int,
        max_body: int | None = MiB,
        faults: Sequence[Fault] = (),
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self.requests = 0  #: How many requests came.
        self.refused = 0  #: How many of them were answered with 413.
        self.bytes_in = 0  #: How many bytes of bodies were passed to the upstream.
        self._upstream = (upstream_host, upstream_port)
        self._max_body = max_body
        self._faults = [(fault, _Occurrences()) for fault in faults]
        #: Where clients send their requests, without a slash at the end.
        self.url = f"http://127.0.0.1:{self.port}"

    async def serve(self, connection: socket.socket) -> None:
        """Serve one connection of a client, from its first request to its end."""
        client = Peer(connection, h11.SERVER)
        try:
            while await self._exchange(client):
                client.http.start_next_cycle()
            await client.linger()
        except Gone:
            pass
        finally:
            await client.close()

    async def _exchange(self, client: Peer) -> bool:
        """Handle one request. Returns whether another one may follow. Raises `Gone`."""
        request = await client.next()
        if not isinstance(request, h11.Request):
            raise Gone(client)
        self.requests += 1
        length = body_length(request)
        fault = self._fault_for(request.target.decode("latin-1"), length)
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.reset_at is not None and (length or 0) > fault.reset_at:
            await client.reset(after=fault.reset_at)
        elif self._max_body is not None and (length or 0) > self._max_body:
            await self._refuse(client)
        elif fault.status is not None:
            while fault.is_late and await client.data():
                pass
            await client.answer(fault.status, fault.retry_after)
        else:
            await self._pass_in_time(client, request, fault)
        return await client.is_ready_for_more()

    def _fault_for(self, target: str, length: int | None) -> Fault:
        """All faults that hit this request, merged. The first fault that sets a field wins."""
        merged = Fault()
        for fault, occurrences in self._faults:
            if fault.is_for(target, length) and occurrences.hits(fault):
                values = {f.name: getattr(fault, f.name) for f in fields(fault)}
                unset = {k: v for k, v in values.items() if getattr(merged, k) == getattr(Fault, k)}
                merged = replace(merged, **unset)
        return merged

    async def _refuse(self, client: Peer) -> None:
        self.refused += 1
        await client.answer(413, closes=True)

    async def _pass_in_time(self, client: Peer, request: h11.Request, fault: Fault) -> None:
        try:
            async with asyncio.timeout(fault.ends_after) as late:
                await self._pass(client, request, fault)
        except TimeoutError:
            if not late.expired():
                raise
            raise Gone(client) from None

    async def _pass(self, client: Peer, request: h11.Request, fault: Fault) -> None:
        """Let the upstream answer. Raises `Gone` if the client's connection has to end."""
        body = None
        try:
            if fault.is_duplicated:
                body = await self._whole_body(client)
                await self._send_and_ignore(request, body)
            await self._pass_once(client, request, fault, body)
        except _TooLarge:
            if client.http.our_state is not h11.SEND_RESPONSE:
                raise Gone(client) from None
            await self._refuse(client)
        except Gone as gone:
            # Once a part of the answer is sent, it cannot be replaced by a 502. nginx closes the
            # connection then, too.
            if gone.peer is client or client.http.our_state is not h11.SEND_RESPONSE:
                raise
            await client.answer(502)

    async def _pass_once(
        self, client: Peer, request: h11.Request, fault: Fault, body: bytes | None
    ) -> None:
        upstream = await self._connect()
        sending = asyncio.create_task(self._send(client, upstream, request, fault, body))
        answering = asyncio.create_task(self._pass_answer(upstream, client, fault))
        try:
            # `sending` ends only by an error, so the first of both to end decides.
            await asyncio.wait((sending, answering), return_when=asyncio.FIRST_COMPLETED)
            await (answering if answering.done() else sending)
        finally:
            sending.cancel()
            answering.cancel()
            try:
                await asyncio.gather(sending, answering, return_exceptions=True)
            finally:
                await upstream.close()

    async def _connect(self) -> Peer:
        connection = socket.socket()
        connection.setblocking(False)
        upstream = Peer(connection, h11.CLIENT)
        try:
            await asyncio.get_running_loop().sock_connect(connection, self._upstream)
        except BaseException as error:
            connection.close()
            raise Gone(upstream) if isinstance(error, OSError) else error from None
        return upstream

    async def _send(
        self,
        client: Peer,
        upstream: Peer,
        request: h11.Request,
        fault: Fault,
        body: bytes | None,
    ) -> NoReturn:
        """Pass the request on, then wait until the client closes. Raises `Gone`, `_TooLarge`."""
        # An upstream that stops reading may have answered already, so this is no error yet.
        with suppress(Gone):
            await upstream.send(forwarded(request))
        got = 0
        while data := await client.data() if body is None else body[got : got + READ]:
            got += len(data)
            if self._max_body is not None and got > self._max_body:
                raise _TooLarge
            is_cut = fault.cut_after is not None and got >= fault.cut_after
            if fault.cut_after is not None and is_cut:
                data = data[: len(data) - (got - fault.cut_after)]
            with suppress(Gone):
                await upstream.send(h11.Data(data=data))
                self.bytes_in += len(data)
            if is_cut:
                raise Gone(client)
        with suppress(Gone):
            await upstream.send(h11.EndOfMessage())
        await client.wait_closed()

    async def _pass_answer(self, upstream: Peer, client: Peer, fault: Fault) -> None:
        event: h11.Event | type[h11.PAUSED] | None = None
        while not isinstance(event, h11.EndOfMessage):
            event = await upstream.next()
            is_continue = isinstance(event, h11.InformationalResponse) and event.status_code == 100
            if not fault.drops_answer and not is_continue:
                await client.send(self._passed_on(event))
        if fault.drops_answer:
            raise Gone(client)

    def _passed_on(self, event: Any) -> Any:
        """What the client gets of an event of the upstream's answer."""
        return forwarded(event)

    async def _whole_body(self, client: Peer) -> bytes:
        body = bytearray()
        while data := await client.data():
            body += data
            if self._max_body is not None and len(body) > self._max_body:
                raise _TooLarge
        return bytes(body)

    async def _send_and_ignore(self, request: h11.Request, body: bytes) -> None:
        """Let the upstream handle the request, and drop its answer."""
        upstream = await self._connect()
        try:
            for event in (forwarded(request), h11.Data(data=body), h11.EndOfMessage()):
                await upstream.send(event)
            while not isinstance(await upstream.next(), h11.EndOfMessage):
                pass
            self.bytes_in += len(body)
        finally:
            await upstream.close()


class _TooLarge(Exception):
    """A body without a declared length turned out to be above the limit."""


class _Occurrences:
    """Counts the requests that a fault is for."""

    def __init__(self) -> None:
        self._seen = 0

    def hits(self, fault: Fault) -> bool:
        """Count one more request. Returns whether the fault hits it."""
        self._seen += 1
        number, rest = divmod(self._seen, fault.every)
        return rest == 0 and (fault.times is None or number <= fault.times)
