"""The memory of connections, as the kernel reports it."""

from __future__ import annotations

import socket
import sys

from bench.sockets import memory_of_port
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
