"""The memory that the kernel holds for a server's connections.

It is asked by netlink (sock_diag(7)), because /proc/net/sockstat has only the sum of all
connections of the machine, with the driver's ends among them.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

SAMPLE_EVERY = 0.1

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ALL_STATES = 0xFFFFFFFF
_SKMEMINFO = 7
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_REQUEST = struct.Struct("=BBBBI2s46s")  # inet_diag_req_v2, with the source port
_MESSAGE = 72  # the length of inet_diag_msg
#: What is charged in advance is signed: it is below zero while more was received than charged.
_MEMORY = struct.Struct("=IIIIiIII")


class SocketMemory:
    """The most that the kernel held for the connections of a port, while a block ran.

    with SocketMemory(port) as sockets:
        ...
    sockets.peak  # bytes; None if the kernel does not answer
    """

    def __init__(self, port: int) -> None:
        self.peak: int | None = 0
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> SocketMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        peak = 0
        try:
            while not self._over.wait(SAMPLE_EVERY):
                peak = max(peak, memory_of_port(self._port))
        except OSError:  # sock_diag is a module, and may be missing
            self.peak = None
        else:
            self.peak = peak


def memory_of_port(port: int) -> int:
    """What the kernel holds now for the TCP connections of this local port, in bytes."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        asked = _REQUEST.pack(
            socket.AF_INET,
            socket.IPPROTO_TCP,
            1 << (_SKMEMINFO - 1),
            0,
            _ALL_STATES,
            struct.pack("!H", port),
            b"",
        )
        head = _HEADER.pack(_HEADER.size + len(asked), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0)
        netlink.send(head + asked)
        return sum(_receive(netlink))


def _receive(netlink: socket.socket) -> Iterator[int]:
    """The memory of each connection. Raises `OSError` if the kernel refuses."""
    while True:
        data = netlink.recv(1 << 16)
        at = 0
        while at < len(data):
            length, kind, *_ = _HEADER.unpack_from(data, at)
            if kind == _DONE:
                return
            if kind == _ERROR:
                (number,) = struct.unpack_from("=i", data, at + _HEADER.size)
                raise OSError(-number, "sock_diag")
            yield memory_in(data[at + _HEADER.size + _MESSAGE : at + length])
            at += (length + 3) & ~3


def memory_in(attributes: bytes) -> int:
    """What the kernel holds for one connection, by the attributes of its message; 0 if unsaid."""
    at = 0
    while at + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, at)
        if kind == _SKMEMINFO:
            received, _, _, _, reserved, queued, _, backlog = _MEMORY.unpack_from(
                attributes, at + 4
            )
            return int(received + reserved + queued + backlog)
        at += (length + 3) & ~3
    return 0
