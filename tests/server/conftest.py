"""The server in a thread of this process, so that its bounds can be made small."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.types import ASGIApp

from wherry.listening import listening, resolve
from wherry.server import configuration, create_app
from wherry.settings import Settings

Connect = Callable[[], socket.socket]
#: How long anything may take on a busy machine, in seconds.
TIMEOUT = 60.0


@contextmanager
def running(data: Path) -> Iterator[Connect]:
    settings = Settings(data=data, assessment=False, min_free=0)
    with serving(create_app(settings, "127.0.0.1")) as connect:
        yield connect


@contextmanager
def serving(app: ASGIApp) -> Iterator[Connect]:
    """Any application, under the protocol of `wherry serve`."""
    server = uvicorn.Server(configuration(app))
    with listening(resolve("127.0.0.1", 0)) as listeners, ExitStack() as stack:
        thread = threading.Thread(target=server.run, args=(listeners,))
        thread.start()
        port = listeners[0].getsockname()[1]

        def connect() -> socket.socket:
            connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
            return stack.enter_context(connection)

        try:
            yield connect
        finally:
            stack.close()
            server.should_exit = True
            thread.join(TIMEOUT)


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    with running(tmp_path / "data") as connect:
        yield connect


@asynccontextmanager
async def server(
    data: Path, host: str = "127.0.0.1", peer: str = "127.0.0.1", **more: Any
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the server's application, without a socket; `peer`: its address."""
    api = create_app(Settings(data=data, assessment=False, min_free=0, **more), host)
    transport = httpx2.ASGITransport(api, client=(peer, 4000))
    async with (
        api.router.lifespan_context(api),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


def rest(connection: socket.socket) -> bytes:
    """What still comes until the server closes; fails if it does not."""
    got = b""
    try:
        while data := connection.recv(65536):
            got += data
    except ConnectionError:
        pass
    return got


def answer(connection: socket.socket) -> bytes:
    """The next answer, of known length, with its head."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += _more(connection)
    head, _, body = got.partition(b"\r\n\r\n")
    [length] = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    while len(body) < length:
        body += _more(connection)
    assert len(body) == length
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "the server has closed the connection"
    return data


def pushed(connection: socket.socket, piece: bytes, most: int) -> int:
    """Send `piece` again and again until the server has closed; how many bytes it took."""
    sent = 0
    try:
        while sent < most:
            sent += connection.send(piece)
    except ConnectionError:
        pass
    return sent
