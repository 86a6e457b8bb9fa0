"""The memory of connections, as the kernel reports it."""

from __future__ import annotations

import socket
import struct
import sys

from bench.sockets import memory_in, memory_of_port
from tests.parts import need

SENT = 1 << 20


def test_bytes_that_a_server_has_not_read_count_for_its_port_alone() -> None:
    need(sys.platform == "linux", "Linux")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert memory_of_port(port) == 0
        client = socket.create_connection(("127.0.0.1", port))
        server, _ = listener.accept()
        with client, server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SENT)
            client.settimeout(30)
            client.sendall(bytes(SENT // 4))
            assert server.recv(1, socket.MSG_PEEK)
            assert memory_of_port(port) > 0
            own_port = client.getsockname()[1]
            assert memory_of_port(port) > memory_of_port(own_port)


def test_memory_that_is_not_charged_yet_is_subtracted() -> None:
    # As Linux 6.18 reported it for a connection that had received more than its buffer holds.
    memory = struct.pack("=9i", 1061888, 394758, 0, 4194304, -123904, 0, 0, 0, 10)
    attribute = struct.pack("=HH", 4 + len(memory), 7) + memory
    assert memory_in(attribute) == 1061888 - 123904
    other = struct.pack("=HHI", 5, 8, 0)  # one byte, and the padding
    assert memory_in(other + attribute) == 1061888 - 123904
    assert memory_in(other) == 0
