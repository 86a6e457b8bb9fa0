"""Measures how much server memory one connection can use before its request is complete.

    .venv/bin/python bench/connections.py [CONNECTIONS]

For each case, it opens that many connections (100 by default), sends the same bytes on each, and
divides the growth of the server's resident memory by their number.
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
    """The server's resident memory in bytes."""
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
        "an endless head of one line": HEAD + b"X: " + b"y" * room,
        "an endless head of many lines": HEAD
        + (b"X: " + b"y" * each + b"\r\n") * (HEAD_LINES - 10),
        "an endless address": b"GET /" + b"y" * room,
        "requests behind an event stream": stream + (HEAD + b"\r\n") * (HELD_BYTES // 60),
        "a body of a GET request": HEAD + b"Content-Length: 9999999\r\n\r\n" + bytes(room),
    }


def main(count: int) -> None:
    print(f"memory per connection, with {count} connections:")
    for name in case_names():
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            server = stack.enter_context(serving(Path(folder, "data"), assessment=False))
            piece = cases(server)[name]
            before = resident(server)
            for _ in range(count):
                connection = stack.enter_context(
                    socket.create_connection(("127.0.0.1", server.port))
                )
                connection.settimeout(1)
                with suppress(OSError):  # the server may have stopped reading
                    connection.sendall(piece)
            most = 0
            for _ in range(20):
                most = max(most, resident(server))
                time.sleep(0.05)
            print(f"{name:42} {(most - before) / count / 1024:8.0f} KiB")


def case_names() -> list[str]:
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder, "data"), assessment=False) as server,
    ):
        return list(cases(server))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
