"""Informational responses under the servers that applications run on."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.app.test_host import TIMEOUT, hosting

BODY = b"video"
HEAD = (
    b"POST /api/chunked-upload/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    b"Upload-Draft-Interop-Version: 9\r\nUpload-Complete: ?1\r\nConnection: close\r\n\r\n"
)


@contextmanager
def asked(server: str, app: str, folder: Path) -> Iterator[socket.socket]:
    """A connection on which an upload has begun, without a byte of its body."""
    with hosting(server, "", app, folder) as (url, _):
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
            connection.sendall(HEAD)
            yield connection


def rest(connection: socket.socket) -> bytes:
    got = b""
    while piece := connection.recv(65536):
        got += piece
    return got


def statuses(responses: bytes) -> list[int]:
    return [int(each) for each in re.findall(rb"HTTP/1.1 (\d+)", responses)]


def test_under_gunicorn_a_client_learns_where_its_upload_is_before_its_body_has_come(
    tmp_path: Path,
) -> None:
    with asked("gunicorn", "plain", tmp_path) as connection:
        told = b""
        while not told.endswith(b"\r\n\r\n"):
            told += connection.recv(1)
        connection.sendall(BODY)
        answer = rest(connection)
    assert statuses(told) == [104]
    [location] = re.findall(rb"(?im)^location: (\S+)", told)
    assert statuses(answer) == [200]
    assert b"upload-complete: ?1" in answer.lower()
    [file] = (tmp_path / "data" / "files").iterdir()
    assert file.read_bytes() == BODY
    assert location.decode().rpartition("/")[2] == file.name.partition(".")[0]


@pytest.mark.parametrize(("server", "app"), [("gunicorn", "watched"), ("uvicorn", "plain")])
def test_where_a_message_could_fail_none_is_sent(server: str, app: str, tmp_path: Path) -> None:
    with asked(server, app, tmp_path) as connection:
        connection.sendall(BODY)
        assert statuses(rest(connection)) == [200]
