"""What an exchange reports of how it ended, against a socket that does as it is told."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from wherry.doctor import exchange
from wherry.doctor.address import Address
from wherry.doctor.exchange import Ask, Line
from wherry.doctor.reply import End, Reply
from wherry.doctor.spending import Spending

MiB = 1 << 20
PAGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\npage"
Act = Callable[[socket.socket], None]


@contextmanager
def acting(*acts: Act) -> Iterator[Address]:
    """A server that does one of `acts` with each connection, in turn, after it has read a head."""

    def serve(listener: socket.socket) -> None:
        for act in acts:
            connection, _ = listener.accept()
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(1)
                act(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield Address("http", "127.0.0.1", listener.getsockname()[1], "")
        thread.join(20)


def ask(address: Address, ask: Ask, most: int = 64 * MiB, seconds: float = 20) -> Reply:
    with Line(address, Spending(most, seconds)) as line:
        return line.exchange(ask)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer(connection: socket.socket) -> None:
    connection.sendall(PAGE)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass


def test_an_early_answer_stops_the_body() -> None:
    with acting(answer) as address:
        reply = ask(address, Ask(length=32 * MiB, trial=5.0))
    assert (reply.end, reply.status, reply.body) == (End.ANSWER, 413, b"page")
    assert reply.is_early
    assert reply.sent <= 128 << 10


def test_a_probe_that_the_server_has_no_place_for_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def busy(connection: socket.socket) -> None:
        body = b'{"type": "urn:wherry:problem:overloaded", "code": "overloaded"}'
        head = b"HTTP/1.1 503 x\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
        connection.sendall(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    monkeypatch.setattr(exchange, "PATIENCE", 0.01)
    with acting(busy, busy, answer) as address:
        assert ask(address, Ask(length=1)).status == 413


def test_a_reset_is_told_from_an_end_without_an_answer() -> None:
    with acting(reset) as address:
        assert ask(address, Ask(length=4 * MiB, trial=5.0)).end is End.RESET
    with acting(lambda connection: None) as address:
        assert ask(address, Ask(length=0)).end is End.CLOSED


def test_an_answer_that_came_before_a_reset_is_read_or_the_reset_is_reported() -> None:
    def answer_and_reset(connection: socket.socket) -> None:
        connection.sendall(PAGE)
        reset(connection)

    for _ in range(20):
        with acting(answer_and_reset) as address:
            reply = ask(address, Ask(length=8 * MiB))
        assert (reply.end, reply.status) in ((End.ANSWER, 413), (End.RESET, None))


def test_a_server_that_does_not_answer_ends_in_time() -> None:
    with acting(lambda connection: _wait(connection)) as address:
        reply = ask(address, Ask(length=10, waits=0.2))
    assert (reply.end, reply.sent, reply.is_early) == (End.TIMEOUT, 10, False)


def _wait(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def test_what_is_not_http_is_reported_as_such() -> None:
    with acting(lambda connection: connection.sendall(b"220 mail ready\r\n\r\n")) as address:
        assert ask(address, Ask(length=0)).end is End.GARBLED


def test_no_more_bytes_are_sent_than_may_be() -> None:
    with acting(_wait) as address:
        reply = ask(address, Ask(length=8 * MiB), most=1 * MiB)
    assert reply.sent == 1 * MiB
    assert reply.end is End.TIMEOUT


@pytest.mark.parametrize("number", [1, 2])
def test_a_connection_is_used_again_and_replaced_when_it_has_died(number: int) -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    acts = [lambda connection: connection.sendall(ok)] * number
    with acting(*acts) as address, Line(address, Spending(MiB, 20)) as line:
        for _ in range(number):
            assert line.exchange(Ask(length=0)).body == b"ok"
