"""Bodies under the ASGI servers that applications use, alone and behind a middleware."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.parts import need_package

from wherry.testing.ports import free_port

PROGRAMS = Path(__file__).parent / "programs"
TIMEOUT = 60.0
SERVERS = {
    "uvicorn": "uvicorn {app} --port {port} --http httptools --loop uvloop",
    "uvicorn-h11": "uvicorn {app} --port {port} --http h11 --loop asyncio",
    "gunicorn": "gunicorn {app} -k asgi -b 127.0.0.1:{port} --no-control-socket --timeout 600",
    "hypercorn": "hypercorn {app} -b 127.0.0.1:{port}",
    "granian": "granian {app} --interface asgi --port {port}",
}
CONTENT = os.urandom(3 * 2**20 + 12_345)


@contextmanager
def serving(server: str, app: str, log: Path) -> Iterator[str]:
    need_package(server.partition("-")[0])
    port = free_port()
    command = SERVERS[server].format(app=f"pouring:{app}", port=port).split()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=PROGRAMS,
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _is_whole(answer: httpx2.Response, content: bytes) -> None:
    wanted = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert answer.json() == {**wanted, "ended": "whole"}


@pytest.mark.parametrize("app", ["plain", "behind"])
@pytest.mark.parametrize("server", SERVERS)
def test_bodies_come_whole_and_in_order_under_any_server(
    server: str, app: str, tmp_path: Path
) -> None:
    with (
        serving(server, app, tmp_path / "log") as url,
        httpx2.Client(base_url=url, timeout=TIMEOUT) as client,
    ):
        for content in (CONTENT, b"x", CONTENT[:100_000], CONTENT):
            _is_whole(client.post("/", content=content), content)
            _is_whole(client.post("/", content=iter([content])), content)  # no Content-Length
            files: dict[str, Any] = {"file": ("a.bin", content)}
            _is_whole(client.post("/", files=files), content)


@pytest.mark.parametrize("app", ["plain", "behind"])
@pytest.mark.parametrize("server", SERVERS)
def test_a_client_that_stalls_is_answered_under_any_server(
    server: str, app: str, tmp_path: Path
) -> None:
    with serving(server, app, tmp_path / "log") as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=TIMEOUT) as connection:
            head = b"POST /?timeout=0.2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
            connection.sendall(head + b"abc")
            answer = b""
            while b"}" not in answer:
                piece = connection.recv(4096)
                assert piece, answer
                answer += piece
    assert b'"ended":"stalled"' in answer
    assert hashlib.sha256(b"abc").hexdigest().encode() in answer


@pytest.mark.parametrize("app", ["plain", "behind"])
@pytest.mark.parametrize("server", SERVERS)
def test_a_body_of_unknown_length_that_breaks_off_is_not_whole_under_any_server(
    server: str, app: str, tmp_path: Path
) -> None:
    with serving(server, app, tmp_path / "log") as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=TIMEOUT) as connection:
            head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            connection.sendall(head + b"3\r\nabc\r\n")
        deadline = time.monotonic() + TIMEOUT
        while "ended:" not in (said := (tmp_path / "log").read_text()):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
    assert "ended: cut" in said
