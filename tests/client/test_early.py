"""An answer that comes before the body is sent ends the request, and costs 64 KiB."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from wherry.client import TooLarge, wire
from wherry.client.chunk_size import PIECE, NetworkPath
from wherry.client.early import Transport
from wherry.client.wire import Login, Wire
from wherry.core.digests import Digest
from wherry.core.limits import MiB

pytestmark = pytest.mark.anyio

REFUSAL = b"HTTP/1.1 413 Too Large\r\nServer: nginx\r\nContent-Length: 2\r\n\r\nno"
RECEIVED = b'{"received_bytes": 1, "missing": []}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(RECEIVED), RECEIVED)
SIZE = 20 * MiB


class Peer:
    """The server's end of one connection, after the head of a request. Counts the body's bytes."""

    def __init__(self) -> None:
        self.body = 0
        self.has_ended = threading.Event()
        self.socket: socket.socket

    def read(self, until: int) -> None:
        """Read until so many bytes of the body have come, or the client closes the connection."""
        while self.body < until and (data := self.socket.recv(65536)):
            self.body += len(data)

    def refuse(self) -> None:
        self.socket.sendall(REFUSAL)
        self.read(SIZE)

    def receive(self) -> None:
        self.read(SIZE)
        self.socket.sendall(OK)


@contextmanager
def served(
    answer: Callable[[Peer], None], tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, Peer]]:
    """A server for one connection. `answer` does what comes after the head of the request."""
    peer = Peer()

    def serve() -> None:
        plain, _ = listener.accept()
        with suppress(OSError), tls.wrap_socket(plain, server_side=True) if tls else plain as end:
            data = b""
            while b"\r\n\r\n" not in data:
                data += end.recv(65536)
            peer.socket, peer.body = end, len(data.partition(b"\r\n\r\n")[2])
            answer(peer)
        peer.has_ended.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        scheme = "https" if tls else "http"
        yield f"{scheme}://localhost:{listener.getsockname()[1]}/api", peer
        assert peer.has_ended.wait(60)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, the server's thread may need longer for its early answer."""
    monkeypatch.setattr(wire, "LEAST_PAUSE", 2.0)
    monkeypatch.setattr(wire, "LONGEST_PAUSE", 2.0)


async def send(url: str, passed: int = 0, verify: ssl.SSLContext | None = None) -> int:
    """Send one chunk. Returns how many bytes the client counts as sent: negative, if refused."""
    sent: list[int] = []
    transport = Transport(limits=httpx2.Limits(), proxy=None, verify=verify)
    async with httpx2.AsyncClient(transport=transport, timeout=60) as http:
        requests = Wire(http, url, Login(None, None), path=NetworkPath(passed=passed))
        try:
            await requests.chunk("u", 0, bytes(SIZE), Digest.of_crc(0), sent.append)
        except TooLarge:
            return -sum(sent)
    return sum(sent)


async def test_a_refusal_of_the_head_costs_64_kib() -> None:
    with served(Peer.refuse) as (url, peer):
        assert -PIECE <= await send(url) <= 0
    assert peer.body <= PIECE


async def test_also_through_tls(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with served(Peer.refuse, context) as (url, peer):
        assert -PIECE <= await send(url, verify=trusting) <= 0
    assert peer.body <= PIECE
    with served(Peer.receive, context) as (url, peer):
        assert await send(url, verify=trusting) == SIZE
    assert peer.body == SIZE


async def test_a_refusal_in_the_middle_of_a_known_size_ends_the_body_there() -> None:
    def refuse_late(peer: Peer) -> None:
        peer.read(MiB)
        peer.socket.sendall(REFUSAL)
        # It reads nothing more, so the client stands still until it sees the answer.
        peer.has_ended.wait(1)
        peer.read(SIZE)

    with served(refuse_late) as (url, peer):
        assert MiB <= -await send(url, passed=SIZE) < SIZE
    assert peer.body < SIZE


async def test_an_interim_answer_does_not_end_the_body() -> None:
    def hint(peer: Peer) -> None:
        peer.socket.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        peer.receive()

    with served(hint) as (url, peer):
        assert await send(url) == SIZE
    assert peer.body == SIZE


async def test_an_interim_answer_may_come_in_pieces_and_before_a_refusal() -> None:
    def hint(peer: Peer) -> None:
        peer.socket.sendall(b"HTTP/1.1 103 Early Hints\r\nLi")
        peer.read(MiB)
        peer.socket.sendall(b"nk: </a>\r\n\r\n" + REFUSAL)
        peer.has_ended.wait(1)
        peer.read(SIZE)

    with served(hint) as (url, peer):
        assert -await send(url) < SIZE
    assert peer.body < SIZE


async def test_a_size_that_has_passed_is_sent_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "LEAST_PAUSE", 3600.0)
    monkeypatch.setattr(wire, "LONGEST_PAUSE", 3600.0)
    with served(Peer.receive) as (url, _):
        assert await send(url, passed=SIZE) == SIZE
