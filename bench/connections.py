"""How much memory a connection takes before its request is known, at worst.

    .venv/bin/python bench/connections.py [CONNECTIONS]

Each line opens that many connections, sends on each what is said, and divides the growth of the
server's resident memory by their number.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2

from wherry.connection import HEAD_BYTES, HEAD_LINES, HELD_BYTES
from wherry.testing.server import Server, serving

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


def resident(server: Server) -> int:
    """Bytes of memory that the server has."""
    for line in Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS: this needs Linux")


def cases(server: Server) -> dict[str, bytes]:
    wanted = {"filename": "a.mp4", "size": 1000}
    answer = httpx2.post(f"{server.url}/api/chunked-upload/init", json=wanted)
    events = f"/api/chunked-upload/{answer.json()['upload_id']}/events".encode()
    stream = b"GET " + events + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    room = HEAD_BYTES - 1000
    each = room // (HEAD_LINES - 10) - 7
    return {
        "nothing": b"",
        "a head that does not end, of one line": HEAD + b"X: " + b"y" * room,
        "the same, of as many lines as may be": HEAD
        + (b"X: " + b"y" * each + b"\r\n") * (HEAD_LINES - 10),
        "an address that does not end": b"GET /" + b"y" * room,
        "requests behind an event stream": stream + (HEAD + b"\r\n") * (HELD_BYTES // 60),
        "a body that nobody asked for": HEAD + b"Content-Length: 9999999\r\n\r\n" + bytes(room),
    }


def main(count: int) -> None:
    print(f"{count} connections each")
    for name in cases_of():
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            server = stack.enter_context(serving(Path(folder, "data"), assessment=False))
            piece = cases(server)[name]
            before = resident(server)
            for _ in range(count):
                connection = stack.enter_context(
                    socket.create_connection(("127.0.0.1", server.port))
                )
                connection.settimeout(1)
                with suppress(OSError):  # the server may read no more of it
                    connection.sendall(piece)
            most = 0
            for _ in range(20):
                most = max(most, resident(server))
                time.sleep(0.05)
            print(f"{name:42} {(most - before) / count / 1024:8.0f} KiB")


def cases_of() -> list[str]:
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder, "data"), assessment=False) as server,
    ):
        return list(cases(server))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
