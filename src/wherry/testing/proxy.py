"""A reverse proxy with a limit for bodies, as uploads meet it, and with troubles to order.

    async with LimitingProxy("127.0.0.1", port, max_body=MiB) as proxy: ... proxy.url ...
    with LimitingProxy("127.0.0.1", port).run_in_thread() as proxy: ...

Rule 1: like nginx, it answers 413 as soon as it knows that a body is too large,
with a page of its own, and then reads on for a while: closing at once would
reset the connection, and the client would lose the answer it is still to read.

Rule 2: everything else passes in both directions as it comes, unbuffered, over
one connection to the upstream for each request.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from types import TracebackType
from typing import Any, NoReturn, Self

import h11
from anyio.from_thread import start_blocking_portal

from wherry.core.limits import MiB
from wherry.testing.peer import READ, Gone, Peer, body_length, forwarded


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong, and with which requests. Several together add up.

    Which: of those whose target contains `path` and whose declared body has
    more than `over` bytes, each `every`th, at most `times` times.
    """

    path: str = ""
    over: int = -1
    every: int = 1
    times: int | None = None

    delay: float = 0.0  #: Seconds until anything happens.
    #: Reset the connection, instead of any answer, after so many bytes of a longer
    #: body. The upstream hears nothing of it.
    reset_at: int | None = None
    #: Pass so many bytes of a body on, then close both connections.
    cut_after: int | None = None
    #: Answer with this status, and `Retry-After` in seconds, instead of the upstream.
    status: int | None = None
    retry_after: int | None = None
    is_duplicated: bool = False  #: The upstream gets it twice; the second answer counts.
    drops_answer: bool = False  #: The upstream has done it; the client never hears.

    def is_for(self, target: str, length: int | None) -> bool:
        """Whether this request counts; `length` in bytes, None for one without a length."""
        return self.path in target and (self.over < 0 or (length or 0) > self.over)


class LimitingProxy:
    """Passes HTTP/1.1 on to an upstream; refuses bodies above `max_body` bytes (None: none)."""

    def __init__(
        self,
        upstream_host: str,
        upstream_port: int,
        max_body: int | None = MiB,
        faults: Sequence[Fault] = (),
        port: int = 0,
    ) -> None:
        self.requests = 0  #: All that were heard.
        self.refused = 0  #: Of them, answered with 413.
        self.bytes_in = 0  #: Bytes of bodies that were passed to the upstream.
        self._upstream = (upstream_host, upstream_port)
        self._max_body = max_body
        self._faults = [(fault, _Turn()) for fault in faults]
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)
        #: The port on 127.0.0.1; it is taken when the proxy is made.
        self.port = int(self._listener.getsockname()[1])
        #: Where clients send their requests, without a slash at the end.
        self.url = f"http://127.0.0.1:{self.port}"
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._start(self._listen())
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
        """The proxy on an event loop in a thread of its own, until the block ends."""
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(self):
            yield self

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self) -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            self._start(self._serve(Peer(connection, h11.SERVER)))

    async def _serve(self, client: Peer) -> None:
        """One client's connection, from its first request to its end."""
        try:
            while await self._exchange(client):
                client.http.start_next_cycle()
            await client.linger()
        except Gone:
            pass
        finally:
            await client.close()

    async def _exchange(self, client: Peer) -> bool:
        """One request and its answer; whether another may follow. Raises `Gone`."""
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
            await client.answer(fault.status, fault.retry_after)
        else:
            await self._pass(client, request, fault)
        return await client.is_ready_for_more()

    def _fault_for(self, target: str, length: int | None) -> Fault:
        """All faults whose turn it is, as one; the first to say something has the word."""
        merged = Fault()
        for fault, turn in self._faults:
            if fault.is_for(target, length) and turn.comes(fault):
                said = {f.name: getattr(fault, f.name) for f in fields(fault)}
                news = {k: v for k, v in said.items() if getattr(merged, k) == getattr(Fault, k)}
                merged = replace(merged, **news)
        return merged

    async def _refuse(self, client: Peer) -> None:
        self.refused += 1
        await client.answer(413, closes=True)

    async def _pass(self, client: Peer, request: h11.Request, fault: Fault) -> None:
        """Let the upstream answer. Raises `Gone` when the client's connection is to end."""
        body = None
        try:
            if fault.is_duplicated:
                body = await self._whole_body(client)
                await self._rehearse(request, body)
            await self._pass_once(client, request, fault, body)
        except _TooLarge:
            if client.http.our_state is not h11.SEND_RESPONSE:
                raise Gone(client) from None
            await self._refuse(client)
        except Gone as gone:
            # What is half answered cannot be taken back; nginx closes, too.
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
            # `sending` never ends but by an error, so what ends first decides.
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
        """Pass the request on, then watch the client. Raises `Gone`, `_TooLarge`."""
        # An upstream that has stopped listening may have answered, so it is not an error yet.
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
        await client.leaves()

    async def _pass_answer(self, upstream: Peer, client: Peer, fault: Fault) -> None:
        event: h11.Event | type[h11.PAUSED] | None = None
        while not isinstance(event, h11.EndOfMessage):
            event = await upstream.next()
            is_continue = isinstance(event, h11.InformationalResponse) and event.status_code == 100
            if not fault.drops_answer and not is_continue:
                await client.send(forwarded(event))
        if fault.drops_answer:
            raise Gone(client)

    async def _whole_body(self, client: Peer) -> bytes:
        body = bytearray()
        while data := await client.data():
            body += data
            if self._max_body is not None and len(body) > self._max_body:
                raise _TooLarge
        return bytes(body)

    async def _rehearse(self, request: h11.Request, body: bytes) -> None:
        """The first of two: the upstream does it all, and nobody hears the answer."""
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


class _Turn:
    """How often a fault could have come."""

    def __init__(self) -> None:
        self._seen = 0

    def comes(self, fault: Fault) -> bool:
        self._seen += 1
        turn, rest = divmod(self._seen, fault.every)
        return rest == 0 and (fault.times is None or turn <= fault.times)
