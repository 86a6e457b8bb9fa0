"""One suite over the lane and the ordinary path: what a client sees, and what the engine gets."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
import time

import pytest
from starlette.requests import Request
from tests.lane.conftest import (
    GET,
    Pouring,
    Running,
    head,
    told,
    wait_for,
    whole,
)
from tests.server.conftest import TIMEOUT, answer, pushed, rest

from wherry.connection import HELD_BYTES
from wherry.core.limits import KiB, MiB
from wherry.protocols import draining

DATA = random.Random(10).randbytes(3 * MiB + 17)


def test_a_large_body_takes_the_lane_where_there_is_one(
    server: Running, pouring: Pouring, has_lane: bool
) -> None:
    connection = server.connect()
    connection.sendall(head(len(DATA)) + DATA)
    assert told(connection) == whole(DATA)
    assert pouring.is_taken == has_lane
    connection.sendall(head(100) + DATA[:100])
    assert told(connection) == whole(DATA[:100])
    assert not pouring.is_taken


@pytest.mark.parametrize("size", [1, 8 * KiB, 65_537, 64 * MiB])
def test_the_engine_chooses_how_much_is_poured_at_once(
    server: Running, pouring: Pouring, size: int
) -> None:
    pouring.limit = size
    data = DATA if size > 1 else DATA[: 256 * KiB + 100]
    if size == 1:  # a few steps of a byte, and then the rest
        limits = iter([1, 1, 1])
        pouring.on_block = lambda _: setattr(pouring, "limit", next(limits, len(data)))
    connection = server.connect()
    connection.sendall(head(len(data)) + data)
    assert told(connection) == whole(data)


def test_bytes_come_in_order_however_they_are_cut(server: Running, pouring: Pouring) -> None:
    pouring.limit = 50_000
    connection, cut = server.connect(), random.Random(3)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sent, at = head(len(DATA)) + DATA, 0
    while at < len(sent):
        size = cut.choice([1, 100, 5_000, 300_000])
        connection.sendall(sent[at : at + size])
        at += size
    assert told(connection) == whole(DATA)


def test_a_connection_goes_on_behind_a_body(server: Running) -> None:
    connection = server.connect()
    for size in (len(DATA), 100, 512 * KiB, len(DATA)):
        connection.sendall(head(size) + DATA[:size])
        assert told(connection) == whole(DATA[:size])
        connection.sendall(GET)
        assert told(connection) == {"hello": "/next"}


def test_a_body_that_comes_after_its_header(server: Running, pouring: Pouring) -> None:
    asked = threading.Event()
    pouring.before = lambda _: asked.set()
    connection = server.connect()
    connection.sendall(head(len(DATA)))
    assert asked.wait(TIMEOUT)
    connection.sendall(DATA)
    assert told(connection) == whole(DATA)


@pytest.mark.parametrize("sizes", [(300 * KiB, 100), (len(DATA), 300 * KiB, 100, len(DATA))])
def test_requests_behind_each_other_are_answered_in_order(
    server: Running, way: str, sizes: tuple[int, ...]
) -> None:
    if way.startswith("serve") and sum(sizes) > HELD_BYTES:
        sizes = sizes[1:3]  # it holds few bytes of requests whose turn has not come
    connection = server.connect()
    sent = b"".join(head(size) + DATA[:size] + GET for size in sizes)
    sender = threading.Thread(target=connection.sendall, args=(sent,))
    sender.start()
    for size in sizes:
        assert told(connection) == whole(DATA[:size])
        assert told(connection) == {"hello": "/next"}
    sender.join(TIMEOUT)


def test_a_body_that_has_to_wait_for_another_answer(
    server: Running, pouring: Pouring, has_lane: bool
) -> None:
    """Its first bytes come with its header, while the answer before is not complete."""
    connection = server.connect()
    size = 400 * KiB
    for _ in range(3):
        connection.sendall(GET + head(size) + DATA[: 100 * KiB])
        assert told(connection) == {"hello": "/next"}
        connection.sendall(DATA[100 * KiB : size])
        assert told(connection) == whole(DATA[:size])
        assert pouring.is_taken == has_lane


def test_a_client_that_waits_for_100_continue_gets_it(server: Running) -> None:
    connection = server.connect()
    for _ in range(2):
        connection.sendall(head(len(DATA), b"Expect: 100-continue"))
        expected = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert connection.recv(len(expected), socket.MSG_WAITALL) == expected
        connection.sendall(DATA)
        assert told(connection) == whole(DATA)


def test_a_client_that_waits_for_100_continue_is_refused_without_being_asked_for_the_body(
    server: Running, pouring: Pouring
) -> None:
    def first() -> None:
        raise RuntimeError("the first call before the body has refused it")

    pouring.first = first
    connection = server.connect()
    connection.sendall(head(len(DATA), b"Expect: 100-continue"))
    assert rest(connection).startswith(b"HTTP/1.1 500")


def test_a_client_is_asked_for_its_body_when_nothing_before_refuses_it(
    server: Running, pouring: Pouring
) -> None:
    called: list[int] = []

    def first() -> None:
        called.append(len(pouring.got))
        if len(called) == 1:
            raise BlockingIOError

    pouring.first, pouring.limit = first, 3 * MiB
    connection = server.connect()
    connection.sendall(head(len(DATA), b"Expect: 100-continue"))
    expected = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert connection.recv(len(expected), socket.MSG_WAITALL) == expected
    connection.sendall(DATA)
    assert told(connection) == whole(DATA)
    assert called == [0, 0, 3 * MiB]


def test_a_body_that_is_left_early_is_drained_and_the_connection_goes_on(
    server: Running, pouring: Pouring
) -> None:
    connection = server.connect()
    for enough in (1, 100_000, len(DATA) - 1):
        pouring.enough = enough
        connection.sendall(head(len(DATA)) + DATA)
        assert told(connection) == {"got": enough}
        assert pouring.got == DATA[:enough]
    pouring.enough = None
    connection.sendall(head(len(DATA)) + DATA)
    assert told(connection) == whole(DATA)


def test_a_body_that_is_left_early_is_drained_within_bounds(
    server: Running, pouring: Pouring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "DRAIN_BYTES", 1 * MiB)
    monkeypatch.setattr(draining, "DRAIN_SECONDS", 0.5)
    pouring.enough = 100_000
    connection = server.connect()
    connection.sendall(head(1 << 40) + DATA[:200_000])
    said = answer(connection)
    assert b"409" in said
    assert b"connection: close" in said.lower()
    assert pushed(connection, bytes(64 * KiB), 64 * MiB) < 64 * MiB
    rest(connection)


def test_a_body_that_nobody_reads_does_not_stop_the_connection(
    server: Running, pouring: Pouring
) -> None:
    connection = server.connect()
    for _ in range(2):
        connection.sendall(
            b"GET /next HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(DATA) + DATA
        )
        assert told(connection) == {"hello": "/next"}
    connection.sendall(GET)
    assert told(connection) == {"hello": "/next"}


@pytest.mark.parametrize("how", ["fin", "half", "reset"])
def test_of_a_client_that_goes_away_what_came_is_kept(
    server: Running, pouring: Pouring, how: str
) -> None:
    pouring.limit = len(DATA)
    sent = 700_001
    connection = server.connect()
    connection.sendall(head(len(DATA)) + DATA[:sent])
    if how == "reset":  # what is in the buffers of either side is lost
        wait_for(lambda: len(pouring.got) > 100_000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    elif how == "fin":
        connection.close()
    else:
        connection.shutdown(socket.SHUT_WR)
    assert pouring.over.wait(TIMEOUT)
    wait_for(lambda: pouring.ended == "cut")
    assert DATA[:sent].startswith(pouring.got)
    if how != "reset":
        assert len(pouring.got) == sent


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the rest of a body whose client has stopped sending."""
    monkeypatch.setattr(draining, "WAIT_SECONDS", 0.1)


@pytest.mark.usefixtures("short_wait")
def test_a_client_that_sends_nothing_more_has_stalled_and_what_came_is_kept(
    server: Running, pouring: Pouring
) -> None:
    pouring.timeout, pouring.limit = 0.5, len(DATA)
    connection = server.connect()
    connection.sendall(head(len(DATA)) + DATA[:500_000])
    assert told(connection)["ended"] == "stalled"
    assert pouring.got == DATA[:500_000]


@pytest.mark.usefixtures("short_wait")
def test_a_client_that_trickles_has_stalled(server: Running, pouring: Pouring) -> None:
    pouring.timeout, pouring.limit = 1.0, len(DATA)
    connection = server.connect()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(head(len(DATA)))
    for _ in range(int(TIMEOUT / 0.05)):
        connection.sendall(b"x")
        if pouring.over.wait(0.05):
            break
    assert pouring.ended == "stalled"
    assert 0 < len(pouring.got) < 100


def test_a_client_that_is_slow_but_goes_on_has_not_stalled(
    server: Running, pouring: Pouring
) -> None:
    """Each piece takes less than the time, all of them far more."""
    pouring.timeout, pouring.limit = 2.0, len(DATA)
    data = DATA[: 512 * KiB]
    connection = server.connect()
    connection.sendall(head(len(data)))
    for at in range(0, len(data), 64 * KiB):
        threading.Event().wait(0.3)
        connection.sendall(data[at : at + 64 * KiB])
    assert told(connection) == whole(data)


def test_what_comes_first_takes_no_byte_when_it_raises(server: Running, pouring: Pouring) -> None:
    called: list[int] = []

    def first() -> None:
        called.append(len(pouring.got))
        if len(called) % 2:
            raise BlockingIOError

    pouring.first, pouring.limit = first, 1 * MiB
    connection = server.connect()
    connection.sendall(head(len(DATA)) + DATA)
    assert told(connection) == whole(DATA)
    assert called == [at * MiB for at in (0, 0, 1, 1, 2, 2, 3, 3)]


def test_time_that_what_comes_first_takes_is_not_the_clients(
    server: Running, pouring: Pouring
) -> None:
    """Without it, the client needs less than its time; together, more."""
    over = threading.Event()

    def first() -> None:
        time.sleep(1.5)
        over.set()

    pouring.first, pouring.limit, pouring.timeout = first, len(DATA), 2.0
    connection = server.connect()
    connection.sendall(head(len(DATA)))
    over.wait(TIMEOUT)
    time.sleep(0.7)
    connection.sendall(DATA)
    assert told(connection) == whole(DATA)


def test_a_slow_disk_is_not_the_clients_fault(server: Running, pouring: Pouring) -> None:
    pouring.timeout = 1.0
    slow = iter([1.5])

    def on_block(_: memoryview) -> None:
        threading.Event().wait(next(slow, 0))

    pouring.on_block = on_block
    connection = server.connect()
    connection.sendall(head(len(DATA)) + DATA)
    assert told(connection) == whole(DATA)


def test_what_the_sink_raises_ends_the_request_and_not_the_server(
    server: Running, pouring: Pouring
) -> None:
    def full(_: memoryview) -> None:
        raise OSError("no space")

    pouring.on_block = full
    broken = server.connect()
    broken.sendall(head(len(DATA)) + DATA)
    assert b"500 Internal Server Error" in rest(broken)
    pouring.on_block = lambda _: None
    connection = server.connect()
    connection.sendall(head(len(DATA)) + DATA)
    assert told(connection) == whole(DATA)


def test_clients_that_send_nothing_hold_up_no_other(server: Running, pouring: Pouring) -> None:
    """Far more of them than there are threads, each in the middle of its body."""
    slow = [server.connect() for _ in range(40)]
    for connection in slow:
        connection.sendall(head(len(DATA)) + DATA[:300_000])
    connection = server.connect()
    connection.sendall(head(len(DATA)) + DATA)
    assert told(connection) == whole(DATA)
    for connection in slow:
        connection.close()


def test_many_bodies_at_once_do_not_mix(server: Running, pouring: Pouring) -> None:
    pouring.limit = 100_000
    bodies = [random.Random(i).randbytes(MiB + i) for i in range(24)]
    results: list[bool] = []

    def send(data: bytes) -> None:
        connection = server.connect()
        for _ in range(2):
            connection.sendall(head(len(data)) + data)
            results.append(told(connection) == whole(data))

    senders = [threading.Thread(target=send, args=(data,)) for data in bodies]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(TIMEOUT)
    assert results == [True] * 2 * len(bodies)


def test_a_cancelled_pour_returns_only_after_the_last_write(
    server: Running, pouring: Pouring
) -> None:
    in_sink, finish = threading.Event(), threading.Event()
    tasks: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[object]]] = []
    order: list[str] = []

    def before(request: Request) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: order.append("task"))
        tasks.append((asyncio.get_running_loop(), task))

    def on_block(_: memoryview) -> None:
        in_sink.set()
        finish.wait(TIMEOUT)
        order.append("sink")

    pouring.before, pouring.on_block = before, on_block
    connection = server.connect()
    connection.sendall(head(len(DATA)) + DATA[:400_000])
    assert in_sink.wait(TIMEOUT)
    loop, task = tasks[0]
    for _ in range(3):
        loop.call_soon_threadsafe(task.cancel)
    threading.Event().wait(0.2)
    assert order == []
    finish.set()
    rest(connection)
    wait_for(lambda: "task" in order)
    assert order[-1] == "task"


def test_a_pour_that_is_cancelled_while_it_waits_ends_at_once(
    server: Running, pouring: Pouring
) -> None:
    tasks: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[object]]] = []

    def before(request: Request) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append((asyncio.get_running_loop(), task))

    pouring.before, pouring.limit = before, len(DATA)
    connection = server.connect()
    connection.sendall(head(len(DATA)) + DATA[:400_000])
    wait_for(lambda: len(pouring.got) == 400_000)
    loop, task = tasks[0]
    loop.call_soon_threadsafe(task.cancel)
    rest(connection)
    wait_for(task.done)
    assert pouring.got == DATA[:400_000]


def test_a_server_that_stops_ends_the_bodies_that_are_open(
    server: Running, pouring: Pouring
) -> None:
    pouring.limit = len(DATA)
    connection = server.connect()
    connection.sendall(head(len(DATA)) + DATA[:400_000])
    wait_for(lambda: len(pouring.got) == 400_000)
    server.server.should_exit = True
    rest(connection)


def test_a_client_that_was_asked_for_its_body_is_answered_behind_it(
    server: Running, pouring: Pouring
) -> None:
    """It sends all of it, whatever the answer is; the connection stays."""
    pouring.enough = 100_000
    connection = server.connect()
    for _ in range(2):
        connection.sendall(head(len(DATA), b"Expect: 100-continue"))
        expected = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert connection.recv(len(expected), socket.MSG_WAITALL) == expected
        connection.sendall(DATA)
        assert told(connection) == {"got": 100_000}
