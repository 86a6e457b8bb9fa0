"""The lane on listeners of other kinds than those of `wherry serve`."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from tests.lane.conftest import GET, LOOPS, Pouring, head, running, told, whole

from wherry.core.limits import MiB
from wherry.lane import LaneProtocol
from wherry.protocols.draining import Drained

DATA = os.urandom(2 * MiB + 3)


@pytest.mark.parametrize("loop", LOOPS)
def test_an_answer_does_not_wait_for_the_client_where_the_listener_does_not_name_tcp(
    loop: str, pouring: Pouring
) -> None:
    """As uvicorn's with several workers."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        assert listener.proto == 0
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with running(Drained(pouring), LaneProtocol, loop, listener) as server:
            connection = server.connect()
            connection.sendall(GET)
            assert told(connection) == {"hello": "/next"}
            [server_side] = server.connections()
            accepted = server_side.transport.get_extra_info("socket")
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@pytest.mark.parametrize("loop", LOOPS)
def test_a_body_on_a_unix_socket_takes_the_lane(
    loop: str, pouring: Pouring, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        with running(Drained(pouring), LaneProtocol, loop, listener) as server:
            connection = server.connect()
            connection.sendall(head(len(DATA)) + DATA)
            assert told(connection) == whole(DATA)
            assert pouring.is_taken
