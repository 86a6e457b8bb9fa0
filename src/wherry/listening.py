"""The sockets that `wherry serve` listens on, opened before anything else starts.

Rule 1: a name is resolved once. So the server decides about the very address that it binds
whether other machines can reach it.

Rule 2: where several processes serve, Linux distributes the connections, to one socket for each of
them (`SO_REUSEPORT`). If all accepted at one socket, a process that happens to be awake would get
most of the connections that come together. The process that starts the others keeps the sockets
open. So the connections of a process that has died wait for the one that replaces it.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

#: How many connections may wait to be accepted.
BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Address:
    """One address to listen on. `host` is what the operator wrote."""

    host: str
    family: socket.AddressFamily
    sockaddr: Any

    @property
    def address(self) -> str:
        return str(self.sockaddr[0])

    @property
    def port(self) -> int:
        return int(self.sockaddr[1])


def resolve(host: str, port: int) -> list[Address]:
    """The addresses of the name `host`, in the system's order. Raises `OSError`."""
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
        )
    except socket.gaierror as error:
        raise OSError(f"--host {host}: {error.strerror}") from error
    unique = dict.fromkeys((family, sockaddr) for family, _, _, _, sockaddr in found)
    return [Address(host, family, sockaddr) for family, sockaddr in unique]


@contextmanager
def listening(addresses: Sequence[Address], processes: int = 1) -> Iterator[list[socket.socket]]:
    """Listen on all addresses, and close the sockets at the end.

    There are as many sockets for each address as `processes`; those of process `n` are
    `listeners[n::processes]`. An address that this machine does not have (IPv6, often) is skipped
    while another one is left. Raises `OSError` that says what to do.
    """
    listeners: list[socket.socket] = []
    try:
        for address in addresses:
            try:
                listeners += _listen_for(processes, address)
            except OSError as error:
                is_last = address == addresses[-1] and not listeners
                if error.errno != errno.EADDRNOTAVAIL or is_last:  # else: a machine without IPv6
                    raise OSError(explain(error, address)) from error
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def _listen_for(processes: int, address: Address) -> list[socket.socket]:
    first = _listen(address.family, address.sockaddr)
    if processes == 1 or sys.platform != "linux":
        return [first] * processes
    # The first one shows that no other program has the port: this user's could share it.
    sockaddr = first.getsockname()
    first.close()
    with ExitStack() as opened:
        shared = [
            opened.enter_context(_listen(address.family, sockaddr, is_shared=True))
            for _ in range(processes)
        ]
        opened.pop_all()
    return shared


def _listen(
    family: socket.AddressFamily, sockaddr: Any, *, is_shared: bool = False
) -> socket.socket:
    # With the protocol: without it, asyncio does not recognise TCP, leaves Nagle's algorithm on
    # for each connection, and an answer in two segments waits 40 ms for its client.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(sockaddr)
        # At once: until a socket listens, Linux lets other processes bind the same address.
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def explain(error: OSError, address: Address) -> str:
    """Why the address cannot be used, and what to do."""
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {address.port} on {address.host} is taken by another program. "
                "Stop that program, or choose another port with --port"
            )
        case errno.EACCES:
            return (
                f"this user may not use port {address.port} on {address.host}. "
                "Choose a port above 1023 with --port"
            )
        case errno.EADDRNOTAVAIL:
            return f"{address.host} is not an address of this machine. Choose one with --host"
    return f"{address.host}, port {address.port}: {error.strerror}"


def url_of(listener: socket.socket) -> str:
    """The URL of a socket that listens."""
    address, port = listener.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
