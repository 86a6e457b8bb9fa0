"""The low-water marks and the buffers of sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from wherry.core.limits import KiB, MiB
from wherry.lane import socket_memory
from wherry.lane.socket_memory import FEW, LARGE, MARKS, PATIENCE, QUIET, SMALL, SocketMemory


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(socket_memory, "time", clock)
    return clock


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    some = [socket.socket() for _ in range(2 * MARKS // LARGE)]
    yield some
    for one in some:
        one.close()


def mark(connection: socket.socket) -> int:
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


def test_a_fast_socket_gathers_more_and_none_more_than_is_left(
    sockets: list[socket.socket],
) -> None:
    memory, one = SocketMemory(), sockets[0]
    memory.wait(one, 10 * MiB, is_fast=False)
    assert mark(one) == SMALL
    memory.wait(one, 10 * MiB, is_fast=True)
    assert mark(one) == LARGE
    memory.wait(one, 10 * MiB, is_fast=False)  # as long as it is not slow
    assert mark(one) == LARGE
    memory.wait(one, 100 * KiB, is_fast=True)
    assert mark(one) == 100 * KiB
    memory.wait(one, 10, is_fast=False)
    assert mark(one) == 10
    memory.wait(one, 1, is_fast=False)
    assert mark(one) == 1
    assert not memory.has_marks()


def test_a_socket_that_waits_for_long_wakes_for_every_byte(
    sockets: list[socket.socket], clock: Clock
) -> None:
    memory, (late, fast, slow, *_) = SocketMemory(), sockets
    memory.wait(late, 10 * MiB, is_fast=True)
    memory.wait(slow, 10 * MiB, is_fast=False)
    clock.now += 0.6 * QUIET
    memory.wait(fast, 10 * MiB, is_fast=True)
    clock.now += 0.6 * QUIET
    memory.sweep()
    assert (mark(late), mark(fast), mark(slow)) == (1, LARGE, SMALL)
    memory.wait(late, 10 * MiB, is_fast=False)
    assert mark(late) == SMALL  # it has become slow
    clock.now += PATIENCE
    memory.sweep()
    assert (mark(fast), mark(slow)) == (1, 1)


def test_all_sockets_together_gather_no_more_than_the_bound(sockets: list[socket.socket]) -> None:
    memory = SocketMemory()
    for one in sockets:
        memory.wait(one, 10 * MiB, is_fast=True)
    assert sum(m for one in sockets if (m := mark(one)) > 1) == MARKS
    memory.lower(sockets[0])
    assert mark(sockets[0]) == 1
    memory.wait(sockets[-1], 10 * MiB, is_fast=True)
    assert mark(sockets[-1]) == LARGE


def test_the_small_marks_of_very_many_bodies_are_smaller(sockets: list[socket.socket]) -> None:
    memory, one = SocketMemory(), sockets[0]
    memory.narrow(one, 4 * MARKS // SMALL)
    memory.wait(one, 10 * MiB, is_fast=False)
    assert mark(one) == SMALL // 4
    memory.narrow(one, 1)
    memory.wait(one, 10 * MiB, is_fast=False)
    assert mark(one) == SMALL


def test_many_bodies_share_the_memory_of_their_sockets(sockets: list[socket.socket]) -> None:
    memory, one = SocketMemory(), sockets[0]

    def buffer() -> int:
        return one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    before = buffer()
    memory.narrow(one, FEW)
    assert buffer() == before
    sizes = []
    for bodies in (FEW + 1, 64, 1000):
        memory.narrow(one, bodies)
        sizes.append(buffer())
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0]
