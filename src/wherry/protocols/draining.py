"""Draining: the body of a refused request is read to its end and dropped, within bounds.

If the connection closes while a proxy still sends the request, the proxy may replace our answer
with one of its own (nginx: 502; Apache: 500), and the client never learns why it was refused. So
the answer waits for the end of the body, if that comes soon.

Rule 1: nothing that is read here is used, and at most one block of it is held.

Rule 2: bytes, time and the number of bodies at once are bounded. Beyond a bound the answer is
sent without waiting and says `Connection: close`; then the rest of the body is read for a while,
because a client that is still sending may not read the answer before.
"""

from __future__ import annotations

import asyncio

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wherry.core.limits import GiB, MiB
from wherry.engine.stopping import is_server_stopping
from wherry.protocols.bodies.offer import offer_of

#: The most that is read of one body, and for how long in all. From a client that is not
#: authorised, no more than one chunk with its form.
DRAIN_BYTES, STRANGERS_BYTES, DRAIN_SECONDS = 1 * GiB, 65 * MiB, 20.0
#: How long the answer waits for the end of the body; after the answer, how long for a byte.
WAIT_SECONDS = 2.0
#: How long either of them may last while the server stops.
STOPPING_SECONDS = 0.5
#: How many bodies are drained at once, in one process.
DRAINS = 64

_SEEN = "wherry.drained"


class Drained:
    """An application whose answers are sent when the body of the request has been read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not has_body(scope) or _SEEN in scope:
            await self._app(scope, receive, send)
            return
        scope[_SEEN] = True
        exchange = Exchange(scope, receive, send)
        await self._app(scope, exchange.receive, exchange.send)


def has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value not in (b"", b"0"))
        for name, value in scope["headers"]
    )


class Exchange:
    """A request with a body, and its answer."""

    _draining = 0  # bodies that are being drained in this process

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        self._receive, self._send = receive, send
        self._offer = offer_of(scope)
        self._is_http1 = scope.get("http_version", "1.1").startswith("1")
        # A client that waits for "100 Continue" has sent nothing, and is answered without its
        # body. That answer must say "close": Apache replaces any other one by a 500.
        self._is_held = headers.get("expect", "").lower() == "100-continue"
        length = headers.get("content-length", "")
        self._length = int(length) if length.isdigit() else 0  # 0: not known
        self._is_over = False
        self._left = 0

    async def receive(self) -> Message:
        self._is_held = False
        message = await self._receive()
        self._is_over = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if self._is_over:
            await self._send(message)
        elif message["type"] == "http.response.start":
            self._left = STRANGERS_BYTES if message["status"] in (401, 403) else DRAIN_BYTES
            comes = not self._is_held or (self._offer is not None and self._offer.is_asked_for)
            if self._length <= self._left and comes:
                await self._drain(WAIT_SECONDS)
            if not self._is_over and self._is_http1:
                headers = [h for h in message.get("headers", ()) if h[0].lower() != b"connection"]
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
            await self._send(message)
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._drain(DRAIN_SECONDS)
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await self._send(message)

    async def _drain(self, seconds: float) -> None:
        if Exchange._draining >= DRAINS or _is_cancelled():
            return
        Exchange._draining += 1
        try:
            end, is_hurried = anyio.current_time() + seconds, False
            while not self._is_over and self._left > 0:
                if not is_hurried and is_server_stopping():
                    end, is_hurried = min(end, anyio.current_time() + STOPPING_SECONDS), True
                timeout = min(end - anyio.current_time(), WAIT_SECONDS)
                with anyio.move_on_after(timeout) as silence:
                    message = await self.receive()
                    self._left -= len(message.get("body", b""))
                if silence.cancelled_caught:
                    return
        except asyncio.CancelledError:
            if not _is_cancelled():
                raise
        finally:
            Exchange._draining -= 1


def _is_cancelled() -> bool:
    """Whether uvicorn has cancelled this request, because the time for its stop is over.

    The process is about to end, so the answer is sent at once, if there is one.
    """
    task = asyncio.current_task()
    return is_server_stopping() and task is not None and task.cancelling() > 0
