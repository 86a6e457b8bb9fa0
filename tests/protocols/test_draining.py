"""The answer to a request whose body nobody wants, as an ASGI server sees it."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from wherry.protocols import draining
from wherry.protocols.draining import Drained

pytestmark = pytest.mark.anyio


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("no", scope["status"])(scope, receive, send)


class Server:
    """What a server would see: what was asked for and what was answered, in order."""

    def __init__(self, pieces: int, then: str = "end") -> None:
        self.seen: list[str] = []
        self.headers: dict[bytes, bytes] = {}
        self._left, self._then = pieces, then

    async def receive(self) -> Message:
        self.seen.append("read")
        if not self._left:
            if self._then == "hang":
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}
        self._left -= 1
        more = bool(self._left) or self._then == "hang"
        return {"type": "http.request", "body": b"x" * 1000, "more_body": more}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.headers = dict(message["headers"])
            self.seen.append("head")
        else:
            self.seen.append("more" if message.get("more_body") else "end")

    async def ask(self, version: str = "1.1", status: int = 401, **headers: str) -> list[str]:
        names = [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()]
        scope: Scope = {"type": "http", "method": "POST", "headers": names}
        scope.update(http_version=version, status=status)
        await Drained(refuse)(scope, self.receive, self.send)
        return self.seen


async def test_the_answer_comes_behind_the_body() -> None:
    server = Server(3)
    assert await server.ask(content_length="3000") == ["read"] * 3 + ["head", "end"]
    assert b"connection" not in server.headers


async def test_a_request_without_a_body_is_answered_at_once() -> None:
    assert await Server(0).ask() == ["head", "end"]
    assert await Server(0).ask(content_length="0") == ["head", "end"]


async def test_a_chunked_body_is_read_to_its_end() -> None:
    assert await Server(2).ask(transfer_encoding="chunked") == ["read", "read", "head", "end"]


async def test_a_client_that_is_gone_is_waited_for_no_longer() -> None:
    assert await Server(1, "hang").ask(content_length="0") == ["head", "end"]
    assert await Server(0, "gone").ask(content_length="10") == ["read", "head", "end"]


async def test_a_body_that_does_not_come_is_waited_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(draining, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(draining, "DRAIN_SECONDS", 0.05)
    server = Server(1, "hang")
    assert await server.ask(content_length="3000") == [
        "read",
        "read",
        "head",
        "more",
        "read",
        "end",
    ]
    assert server.headers[b"connection"] == b"close"


async def test_a_long_body_is_answered_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "STRANGERS_BYTES", 2000)
    server = Server(99)
    seen = await server.ask(content_length="99000")
    assert seen == ["head", "more", "read", "read", "end"]
    assert server.headers[b"connection"] == b"close"


async def test_of_somebody_who_is_known_more_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "STRANGERS_BYTES", 2000)
    monkeypatch.setattr(draining, "DRAIN_BYTES", 4000)
    for status, reads in ((403, 2), (404, 4), (413, 4)):
        seen = await Server(99).ask(status=status, content_length="99000")
        assert seen == ["head", "more", *["read"] * reads, "end"]
    assert await Server(4).ask(status=413, content_length="4000") == ["read"] * 4 + ["head", "end"]


async def test_http2_has_no_connection_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "STRANGERS_BYTES", 2000)
    server = Server(99)
    await server.ask("2", content_length="99000")
    assert b"connection" not in server.headers


async def test_who_waits_for_100_continue_is_answered_without_being_asked() -> None:
    """And must be told that the connection closes: nobody knows whether the body comes."""
    server = Server(0, "gone")
    seen = await server.ask(content_length="3000", expect="100-continue")
    assert seen == ["head", "more", "read", "end"]
    assert server.headers[b"connection"] == b"close"


async def test_only_so_many_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "DRAINS", 0)
    server = Server(3)
    assert await server.ask(content_length="3000") == ["head", "more", "end"]
    assert server.headers[b"connection"] == b"close"
