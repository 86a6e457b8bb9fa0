"""What is particular to the lane: when it is offered, and how it goes with other code."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import ssl
import subprocess
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tests.lane.conftest import (
    GET,
    LOOPS,
    Pouring,
    Running,
    digest,
    head,
    running,
    told,
    wait_for,
    whole,
)
from tests.server.conftest import TIMEOUT, answer, rest

from wherry.body import Ended
from wherry.connection import BoundedConnection
from wherry.core.limits import MiB
from wherry.lane import LaneProtocol, readers, socket_memory
from wherry.lane.body import LaneBody
from wherry.protocols.bodies import body_of
from wherry.protocols.bodies.offer import Offer, offer_of
from wherry.protocols.draining import Drained

DATA = os.urandom(2 * MiB + 3)


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lane(loop: str, pouring: Pouring) -> Iterator[Running]:
    with running(Drained(pouring), LaneProtocol, loop) as server:
        yield server


# When it is offered.


def test_a_chunked_body_and_a_form_take_the_ordinary_path(lane: Running, pouring: Pouring) -> None:
    connection = lane.connect()
    boundary = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    form = boundary + DATA + b"\r\n--b--\r\n"
    lines = b"Content-Type: multipart/form-data; boundary=b"
    pouring.file_field = "file"
    connection.sendall(head(len(form), lines) + form)
    assert told(connection) == whole(DATA)
    assert not pouring.is_taken
    pouring.file_field = None
    connection.sendall(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(DATA), DATA)
    )
    assert told(connection) == whole(DATA)
    assert not pouring.is_taken


def test_under_tls_bodies_take_the_ordinary_path(
    loop: str, pouring: Pouring, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout key.pem -out cert.pem"
    subprocess.run(make.split(), check=True, capture_output=True, cwd=tmp_path)
    options: dict[str, Any] = {"ssl_keyfile": str(key), "ssl_certfile": str(certificate)}
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    with (
        running(pouring, LaneProtocol, loop, **options) as server,
        context.wrap_socket(server.connect()) as connection,
    ):
        connection.sendall(head(len(DATA)) + DATA)
        assert digest(DATA).encode() in answer(connection)
    assert not pouring.is_taken


def test_without_a_descriptor_to_spare_a_body_takes_the_ordinary_path(
    lane: Running, pouring: Pouring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_: int) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "dup", none_left)
    connection = lane.connect()
    connection.sendall(head(len(DATA)) + DATA)
    assert told(connection) == whole(DATA)
    assert not pouring.is_taken


def test_without_a_thread_a_body_takes_the_ordinary_path(
    lane: Running, pouring: Pouring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_: readers.Readers) -> None:
        raise OSError(errno.EAGAIN, "no thread can be started")

    monkeypatch.setattr(readers, "_readers", None)
    monkeypatch.setattr(readers.Readers, "_start", none_left)
    connection = lane.connect()
    connection.sendall(head(len(DATA)) + DATA)
    assert told(connection) == whole(DATA)
    assert not pouring.is_taken


# With code around it.


class Middleware(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-seen"] = "yes"
        return response


async def user(request: Request) -> str:
    return request.headers["host"]


async def opened() -> AsyncIterator[str]:
    yield "opened"


def test_it_goes_through_middleware_and_dependencies(loop: str) -> None:
    taken: list[bool] = []

    host = FastAPI()
    host.add_middleware(Middleware)
    host.add_middleware(Middleware)

    @host.post("/")
    async def receive(
        request: Request,
        user: Annotated[str, Depends(user)],
        opened: Annotated[str, Depends(opened)],
    ) -> dict[str, Any]:
        got = bytearray()
        async with body_of(request, TIMEOUT) as body:
            offer = offer_of(request.scope)
            taken.append(offer is not None and offer.is_taken)
            while body.remaining:
                await body.pour(got.extend, 500_000)
        assert not await request.is_disconnected()
        return {"user": user, "opened": opened, "sha256": digest(got)}

    with running(host, LaneProtocol, loop) as server:
        connection = server.connect()
        for _ in range(3):
            connection.sendall(head(len(DATA)) + DATA)
            assert told(connection) == {"user": "x", "opened": "opened", "sha256": digest(DATA)}
    assert taken == [True] * 3


class Reading:
    """A middleware that wraps `receive`; `takes`: it reads so many messages itself."""

    def __init__(self, app: ASGIApp, takes: int = 0) -> None:
        self.seen: list[Message] = []
        self._app, self._takes = app, takes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self.seen.clear()
        held = [await receive() for _ in range(self._takes)]

        async def receiving() -> Message:
            self.seen.append(held.pop(0) if held else await receive())
            return self.seen[-1]

        await self._app(scope, receiving, send)


def test_a_middleware_around_receive_sees_that_the_body_has_ended(
    loop: str, pouring: Pouring
) -> None:
    around = Reading(pouring)
    with running(around, LaneProtocol, loop) as server:
        connection = server.connect()
        connection.sendall(head(len(DATA)) + DATA)
        assert told(connection) == whole(DATA)
        assert around.seen == [{"type": "http.request", "body": b"", "more_body": False}]
        connection.sendall(head(len(DATA)) + DATA[:600_000])
        wait_for(lambda: len(pouring.got) == 600_000)
        connection.close()
        assert pouring.over.wait(TIMEOUT)
    assert pouring.is_taken


def test_a_body_that_a_middleware_has_begun_to_read_stays_with_it(
    loop: str, pouring: Pouring
) -> None:
    with running(Reading(pouring, takes=1), LaneProtocol, loop) as server:
        connection = server.connect()
        for _ in range(2):
            connection.sendall(head(len(DATA)) + DATA)
            assert told(connection) == whole(DATA)
            assert not pouring.is_taken


def test_a_middleware_may_withdraw_the_offer(loop: str, pouring: Pouring) -> None:
    async def without(scope: Scope, receive: Receive, send: Send) -> None:
        scope.get("extensions", {}).pop("wherry.lane", None)
        await pouring(scope, receive, send)

    with running(without, LaneProtocol, loop) as server:
        connection = server.connect()
        connection.sendall(head(len(DATA)) + DATA)
        assert told(connection) == whole(DATA)
    assert not pouring.is_taken


def test_a_task_that_waits_in_receive_takes_no_byte_from_the_lane(
    lane: Running, pouring: Pouring
) -> None:
    """As code does that watches for the end of a connection while it works."""
    requests: list[tuple[asyncio.AbstractEventLoop, Request]] = []
    watching: list[asyncio.Task[Message]] = []

    async def watch(request: Request) -> Message:
        return await request.receive()

    def before(request: Request) -> None:
        loop = asyncio.get_running_loop()
        requests.append((loop, request))
        watching.append(loop.create_task(watch(request)))

    def on_block(_: memoryview) -> None:
        loop, request = requests[0]
        if len(watching) == 1:
            started = threading.Event()

            def start() -> None:
                watching.append(loop.create_task(watch(request)))
                loop.call_later(0.05, started.set)

            loop.call_soon_threadsafe(start)
            started.wait(TIMEOUT)

    pouring.before, pouring.on_block = before, on_block
    connection = lane.connect()
    connection.sendall(head(len(DATA)) + DATA)
    assert told(connection) == whole(DATA)
    assert pouring.is_taken
    wait_for(lambda: all(task.done() for task in watching))
    assert [task.result().get("body", b"") for task in watching] == [b"", b""]


def test_what_is_left_of_a_body_that_was_taken_comes_by_receive(loop: str) -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        got = bytearray()
        async with body_of(Request(scope, receive), TIMEOUT) as body:
            await body.pour(got.extend, int(scope["query_string"]))
            offer = offer_of(scope)
            assert offer is not None
            assert offer.is_taken
        more = True
        while more:
            message = await receive()
            got += message["body"]
            more = message["more_body"]
        await JSONResponse({"sha256": digest(got)})(scope, receive, send)

    with running(half, LaneProtocol, loop, lifespan="off") as server:
        connection = server.connect()
        for taken in (0, 1, 600_000, len(DATA) - 1):
            connection.sendall(head(len(DATA), path=b"/?%d" % taken) + DATA)
            assert told(connection) == {"sha256": digest(DATA)}


def test_a_body_is_taken_once(loop: str) -> None:
    async def twice(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        offer = offer_of(scope)
        assert offer is not None
        async with body_of(request, TIMEOUT) as body:
            assert offer.take(TIMEOUT) is None
            assert await body.pour(lambda _: None, len(DATA)) is Ended.WHOLE
        assert offer.take(TIMEOUT) is None
        await JSONResponse({"remaining": body.remaining})(scope, receive, send)
        assert offer.take(TIMEOUT) is None

    with running(twice, LaneProtocol, loop, lifespan="off") as server:
        connection = server.connect()
        connection.sendall(head(len(DATA)) + DATA)
        assert told(connection) == {"remaining": 0}


def test_a_connection_that_the_server_closes_ends_the_body(lane: Running, pouring: Pouring) -> None:
    pouring.limit = len(DATA)
    connection = lane.connect()
    connection.sendall(head(len(DATA)) + DATA[:400_000])
    wait_for(lambda: len(pouring.got) == 400_000)
    [server_side] = lane.connections()
    server_side.loop.call_soon_threadsafe(server_side.transport.abort)
    assert pouring.over.wait(TIMEOUT)
    rest(connection)
    assert pouring.ended == "cut"


# What stays behind.


def test_a_body_is_freed_without_a_garbage_collection(
    lane: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds what came with the header, up to 256 KiB, and there may be a hundred of them."""
    taken: list[weakref.ref[LaneBody]] = []
    take = LaneProtocol.take

    def noted(*args: Any) -> LaneBody | None:
        body = take(*args)
        assert body is not None
        taken.append(weakref.ref(body))
        return body

    monkeypatch.setattr(LaneProtocol, "take", noted)
    connection = lane.connect()
    gc.disable()
    try:
        for _ in range(3):
            connection.sendall(head(len(DATA)) + DATA)
            assert told(connection) == whole(DATA)
        wait_for(lambda: all(body() is None for body in taken))
    finally:
        gc.enable()
    assert len(taken) == 3


def test_no_descriptor_and_no_thread_stays_behind(
    lane: Running, pouring: Pouring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_readers", None)
    monkeypatch.setattr(readers, "IDLE_SECONDS", 0.1)
    connection = lane.connect()
    connection.sendall(head(len(DATA)) + DATA)
    assert told(connection) == whole(DATA)
    current = readers.readers()
    wait_for(lambda: current._threads == 0)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for enough in [None, 1, 500_000, None] * 3:
        pouring.enough = enough
        connection.sendall(head(len(DATA)) + DATA)
        assert told(connection)["got"] == (enough or len(DATA))
    wait_for(lambda: current._threads == 0)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    connection.sendall(head(len(DATA)) + DATA)  # and they start again
    pouring.enough = None
    assert told(connection) == whole(DATA)


def test_a_small_request_behind_a_fast_body_is_seen_at_once(
    lane: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark of the socket would hold it back for a minute, if it stayed."""
    for module in (readers, socket_memory):
        monkeypatch.setattr(module, "QUIET", 2 * TIMEOUT)
    connection = lane.connect()
    for _ in range(20):
        connection.sendall(head(len(DATA)) + DATA)
        assert told(connection) == whole(DATA)
        connection.sendall(GET)
        assert told(connection) == {"hello": "/next"}


# Trailers.

CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"


@pytest.mark.parametrize("protocol", [LaneProtocol, BoundedConnection])
def test_the_lines_after_a_chunked_body_are_offered_and_are_no_headers(
    loop: str, protocol: type[LaneProtocol]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        offer = offer_of(scope)
        assert offer is not None
        while (await receive())["more_body"]:
            assert not offer.trailers
        names = [name.decode() for name, _ in scope["headers"]]
        trailers = {name.decode(): value.decode() for name, value in offer.trailers}
        await JSONResponse({"headers": names, "trailers": trailers})(scope, receive, send)

    with running(app, protocol, loop, lifespan="off") as server:
        for trailer in (b"", b"X-Sum: 7\r\nX-Login: me\r\n"):
            connection = server.connect()
            connection.sendall(CHUNKED + b"X-One: 1\r\n\r\n2\r\nab\r\n")
            connection.sendall(b"0\r\n" + trailer + b"\r\n")
            found = told(connection)
            assert found["headers"] == ["host", "transfer-encoding", "x-one"]
            assert found["trailers"] == ({"x-sum": "7", "x-login": "me"} if trailer else {})


# Interim answers.


def test_an_interim_answer_comes_before_the_answer(loop: str) -> None:
    sent: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        offer = offer_of(scope)
        assert offer is not None
        sent.append(offer.send_interim(104, [(b"upload-offset", b"0")]))
        async with body_of(Request(scope, receive), TIMEOUT) as body:
            await body.pour(lambda _: None, 1 * MiB)
            sent.append(offer.send_interim(104, [(b"upload-offset", b"1048576")]))
            await body.pour(lambda _: None, len(DATA))
        await JSONResponse({})(scope, receive, send)
        sent.append(offer.send_interim(104))

    with running(app, LaneProtocol, loop, lifespan="off") as server:
        connection = server.connect()
        for _ in range(2):
            connection.sendall(head(len(DATA)) + DATA)
            got = b""
            while not got.endswith(b"\r\n\r\n{}"):
                got += connection.recv(1)
            interim = b"HTTP/1.1 104 \r\nupload-offset: %d\r\n\r\n"
            assert got.startswith(interim % 0 + interim % MiB + b"HTTP/1.1 200 OK\r\n")
        connection.sendall(head(len(DATA)).replace(b"HTTP/1.1", b"HTTP/1.0") + DATA)
        assert rest(connection).startswith(b"HTTP/1.1 200")
    assert sent == [True, True, False] * 2 + [False, False, False]


@pytest.mark.parametrize(
    ("status", "header"),
    [
        (200, (b"a", b"b")),
        (101, (b"a", b"b")),
        (104, (b"a b", b"c")),
        (104, (b"", b"c")),
        (104, (b"a", b"b\r\nc: d")),
    ],
)
def test_what_is_no_interim_answer_is_refused(status: int, header: tuple[bytes, bytes]) -> None:
    refused: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        offer: Offer | None = offer_of(scope)
        assert offer is not None
        try:
            offer.send_interim(status, [header])
        except ValueError as error:
            refused.append(str(error))
        await JSONResponse({})(scope, receive, send)

    with running(app, LaneProtocol, "asyncio", lifespan="off") as server:
        connection = server.connect()
        connection.sendall(GET)
        assert told(connection) == {}
    assert len(refused) == 1
