"""Whole uploads over either way: the same answers, and the same file."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lane.conftest import PROTOCOLS, Running, running, told, wait_for
from tests.server.conftest import TIMEOUT, answer, rest

from wherry.core.limits import KiB, MiB
from wherry.server import create_app
from wherry.settings import Settings

DATA = random.Random(5).randbytes(3 * MiB + 100)
CHUNK = MiB


@pytest.fixture(params=PROTOCOLS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    settings = Settings(data=tmp_path / "data", assessment=False, min_free=0)
    app = create_app(settings, "127.0.0.1")
    with running(app, PROTOCOLS[request.param], "auto") as server:
        yield server


def post(connection: socket.socket, path: str, body: bytes, *lines: str) -> dict[str, Any]:
    """The answer to a request, with its status."""
    connection.sendall(request(path, len(body), *lines) + body)
    return told(connection)


def request(path: str, length: int, *lines: str) -> bytes:
    head = [f"POST /api{path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *lines]
    return "\r\n".join([*head, "", ""]).encode()


def begin(connection: socket.socket, size: int) -> str:
    wanted = json.dumps({"filename": "film.bin", "size": size}).encode()
    answer = post(connection, "/chunked-upload/init", wanted, "Content-Type: application/json")
    return str(answer["upload_id"])


def chunk(upload_id: str, at: int) -> str:
    return f"/chunked-upload/chunk?upload_id={upload_id}&offset={at}"


def finish(connection: socket.socket, upload_id: str) -> bytes:
    """Complete the upload and fetch the file."""
    body = json.dumps({"upload_id": upload_id}).encode()
    done = post(connection, "/chunked-upload/complete", body, "Content-Type: application/json")
    assert done["state"] == "complete"
    path = f"/api/chunked-upload/files/{upload_id}"
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return answer(connection).partition(b"\r\n\r\n")[2]


def test_chunks_become_the_file(server: Running) -> None:
    connection = server.connect()
    upload_id = begin(connection, len(DATA))
    for at in range(0, len(DATA), CHUNK):
        received = post(connection, chunk(upload_id, at), DATA[at : at + CHUNK])
        assert received["offset"] == min(at + CHUNK, len(DATA))
    assert finish(connection, upload_id) == DATA


def test_a_chunk_that_broke_off_counts_as_far_as_it_came(server: Running) -> None:
    broken, connection = server.connect(), server.connect()
    upload_id = begin(connection, len(DATA))
    came = 700 * KiB + 5
    broken.sendall(request(chunk(upload_id, 0), 2 * MiB) + DATA[:came])
    broken.shutdown(socket.SHUT_WR)
    rest(broken)

    def offset() -> int:
        path = f"/api/chunked-upload/{upload_id}"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return int(told(connection)["offset"])

    wait_for(lambda: offset() == came)
    post(connection, chunk(upload_id, came), DATA[came:])
    assert finish(connection, upload_id) == DATA


def test_the_newer_request_for_a_range_wins(server: Running) -> None:
    older, newer = server.connect(), server.connect()
    upload_id = begin(newer, len(DATA))
    older.sendall(request(chunk(upload_id, 0), len(DATA)) + DATA[: 600 * KiB])
    received = post(newer, chunk(upload_id, 0), DATA)
    assert received["offset"] == len(DATA)
    older.sendall(DATA[600 * KiB :])
    assert told(older)["code"] == "superseded"
    assert finish(newer, upload_id) == DATA


@pytest.mark.parametrize("is_right", [True, False])
def test_a_digest_is_checked(server: Running, is_right: bool) -> None:
    connection = server.connect()
    upload_id = begin(connection, len(DATA))
    digest = hashlib.sha256(DATA if is_right else b"").digest()
    line = f"Content-Digest: sha-256=:{base64.b64encode(digest).decode()}:"
    received = post(connection, chunk(upload_id, 0), DATA, line)
    assert received.get("code") == (None if is_right else "digest-mismatch")
    post(connection, chunk(upload_id, 0), DATA)
    assert finish(connection, upload_id) == DATA


def test_a_refused_chunk_is_read_to_its_end_and_the_connection_goes_on(server: Running) -> None:
    connection = server.connect()
    upload_id = begin(connection, len(DATA))
    assert post(connection, chunk("f" * 32, 0), DATA)["code"] == "upload-not-found"
    assert post(connection, chunk(upload_id, 1), DATA)["code"]
    assert post(connection, chunk(upload_id, 0), DATA)["offset"] == len(DATA)
    assert finish(connection, upload_id) == DATA


def test_one_request_is_enough(server: Running) -> None:
    connection = server.connect()
    done = post(connection, "/upload", DATA, 'Content-Disposition: attachment; filename="a.bin"')
    path = f"/api/chunked-upload/files/{done['upload_id']}"
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert answer(connection).partition(b"\r\n\r\n")[2] == DATA


def test_a_server_that_stops_ends_a_chunk(server: Running) -> None:
    connection = server.connect()
    upload_id = begin(connection, len(DATA))
    connection.sendall(request(chunk(upload_id, 0), len(DATA)) + DATA[:CHUNK])
    connection.settimeout(TIMEOUT)
    server.server.should_exit = True
    rest(connection)


@pytest.mark.parametrize("size", [300 * KiB, MiB])
def test_a_file_of_at_most_a_mebibyte_is_received_in_memory(
    server: Running, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It takes one commit, and is logged as created at level debug."""
    connection, data = server.connect(), DATA[:size]
    with caplog.at_level(logging.DEBUG, "wherry"):
        done = post(
            connection, "/upload", data, 'Content-Disposition: attachment; filename="f.bin"'
        )
    assert done["state"] == "complete"
    created = [record for record in caplog.records if record.getMessage().startswith("created")]
    assert [record.levelno for record in created] == [logging.DEBUG]
    path = f"/api/chunked-upload/files/{done['upload_id']}"
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert answer(connection).partition(b"\r\n\r\n")[2] == data
