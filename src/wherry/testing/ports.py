"""Free ports for programs that cannot choose one themselves.

Rule 1: no other program that asks for any port is given this one before its own listens on it.
"""

from __future__ import annotations

import socket


def free_port(port: int = 0) -> int:
    """A port of 127.0.0.1 for a program that sets `SO_REUSEADDR`, as servers do.

    `port`: one that a program has just left, and will take again; 0: any. Raises `OSError` if it is
    taken.

    A connection leaves the port in the state TIME_WAIT. For a minute, only a program that asks for
    this very one can bind it. (Linux gives clients ports of the other half while it has any.)
    """
    with (
        socket.create_server(("127.0.0.1", port)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        address = None
        while address != client.getsockname():  # else, a client that still looks for the program
            accepted, address = listener.accept()
            accepted.close()  # the side that closes first keeps the state
        client.recv(1)
        return int(listener.getsockname()[1])
