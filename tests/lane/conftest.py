"""An application that pours bodies, under each protocol class and each event loop.

What a test claims must hold on the lane and on the ordinary path alike.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.server.conftest import TIMEOUT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wherry.body import First
from wherry.connection import BoundedConnection
from wherry.lane import LaneProtocol
from wherry.listening import listening, resolve
from wherry.protocols.bodies import body_of
from wherry.protocols.bodies.offer import offer_of
from wherry.protocols.draining import Drained

PROTOCOLS = {"lane": LaneProtocol, "serve": BoundedConnection, "ordinary": HttpToolsProtocol}
LOOPS = ("asyncio", "uvloop")


@dataclass
class Pouring:
    """Pours each body into `got`, and answers what it got; a test may make it do otherwise."""

    limit: int = 300_000
    timeout: float = TIMEOUT
    #: Stop reading after so many bytes, and answer 409.
    enough: int | None = None
    file_field: str | None = None
    #: Called by the sink with each block, on its thread.
    on_block: Callable[[memoryview], None] = lambda _: None
    #: Called before the first block of each `pour`, on its thread.
    first: First | None = None
    #: Called with the request when its body is about to be read.
    before: Callable[[Request], Any] | None = None
    #: What the request that began last has poured; whether it took the lane, and how it ended.
    got: bytearray = field(default_factory=bytearray)
    is_taken: bool = False
    ended: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.over.clear()
            try:
                response = await self._answer(Request(scope, receive))
            finally:
                self.over.set()
            await response(scope, receive, send)

    async def _answer(self, request: Request) -> JSONResponse:
        if request.method == "GET":
            return JSONResponse({"hello": request.url.path})
        got = self.got = bytearray()

        def sink(data: memoryview) -> None:
            self.on_block(data)
            got.extend(data)

        if self.before is not None and (wait := self.before(request)) is not None:
            await wait
        async with body_of(request, self.timeout, self.file_field) as body:
            offer = offer_of(request.scope)
            self.is_taken = offer is not None and offer.is_taken
            while body.remaining:
                limit = self.limit if self.enough is None else self.enough - len(got)
                try:
                    ended = self.ended = (await body.pour(sink, limit, self.first)).value
                except BlockingIOError:
                    continue
                if len(got) == self.enough:
                    return JSONResponse({"got": len(got)}, 409)
        return JSONResponse({"got": len(got), "ended": ended, "sha256": digest(got)})


class Running:
    """A server that runs an application under a protocol class, in a thread of this process."""

    def __init__(self, listener: socket.socket, server: uvicorn.Server, stack: ExitStack) -> None:
        self._family, self._address = listener.family, listener.getsockname()
        self.server = server
        self._stack = stack

    def connect(self) -> socket.socket:
        connection = self._stack.enter_context(socket.socket(self._family))
        connection.settimeout(TIMEOUT)
        connection.connect(self._address)
        return connection

    def connections(self) -> list[Any]:
        return list(self.server.server_state.connections)


@contextmanager
def running(
    app: ASGIApp,
    protocol: type[asyncio.Protocol],
    loop: Any,
    listener: socket.socket | None = None,
    **options: Any,
) -> Iterator[Running]:
    config = uvicorn.Config(
        app,
        http=protocol,
        loop=loop,
        log_config=None,
        timeout_graceful_shutdown=1,
        ws="none",
        **options,
    )
    server = uvicorn.Server(config)
    with listening(resolve("127.0.0.1", 0)) as [ours], ExitStack() as stack:
        listener = listener or ours
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield Running(listener, server, stack)
        finally:
            stack.close()
            server.should_exit = True
            thread.join(TIMEOUT)
        assert not thread.is_alive()


@pytest.fixture(params=[f"{p}-{loop}" for p in PROTOCOLS for loop in LOOPS])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pouring() -> Pouring:
    return Pouring()


@pytest.fixture
def server(way: str, pouring: Pouring) -> Iterator[Running]:
    protocol, loop = way.split("-")
    with running(Drained(pouring), PROTOCOLS[protocol], loop) as server:
        yield server


@pytest.fixture
def has_lane(way: str) -> bool:
    return not way.startswith("ordinary")


def head(length: int, *lines: bytes, path: bytes = b"/") -> bytes:
    rest = b"".join(line + b"\r\n" for line in lines)
    return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n" % (path, length, rest)


GET = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"


def digest(data: bytes | bytearray) -> str:
    return hashlib.sha256(data).hexdigest()


def told(connection: socket.socket) -> dict[str, Any]:
    """The next answer, which is JSON; not a byte behind it is read."""
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, f"the server has closed the connection behind {got!r}"
        got += byte
    length = int(got.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    found: dict[str, Any] = json.loads(connection.recv(length, socket.MSG_WAITALL))
    return found


def whole(data: bytes) -> dict[str, Any]:
    """The answer to a body that was read to its end."""
    return {"got": len(data), "ended": "whole", "sha256": digest(data)}


def wait_for(condition: Callable[[], bool]) -> None:
    until = threading.Event()
    for _ in range(int(TIMEOUT * 100)):
        if condition():
            return
        until.wait(0.01)
    raise AssertionError("it did not become true")
