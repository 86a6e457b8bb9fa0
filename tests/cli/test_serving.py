"""What a stranger can do to a running server before it knows who he is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import httpx2
import pytest

from wherry.testing.server import Server, serving

#: For a busy machine, in seconds.
TIMEOUT = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("server") / "data"
    with serving(data, assessment=False, chunk_timeout=1) as server:
        yield server


def rest(connection: socket.socket, seconds: float) -> bytes:
    """What still comes until the server closes; fails if it does not in time."""
    connection.settimeout(seconds)
    got = b""
    try:
        while data := connection.recv(65536):
            got += data
    except ConnectionError:
        pass
    return got


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port))


def test_endless_headers_are_not_read_to_their_end(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        sent = 0
        with suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(b"x" * 65536)
                sent += 65536
        assert sent < 32 << 20  # what the kernel still takes after the end
    assert httpx2.get(f"{server.url}/healthz").status_code == 200


@pytest.mark.slow
def test_half_a_request_line_is_not_waited_for_for_ever(server: Server) -> None:
    with connect(server) as silent, connect(server) as half:
        half.sendall(b"GET /hea")
        assert rest(half, TIMEOUT) == b""
        assert rest(silent, TIMEOUT) == b""


def test_several_requests_on_one_connection_are_answered(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert rest(connection, TIMEOUT).count(b"200 OK") == 2


def test_a_json_body_that_does_not_come_is_ended(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(
            b"POST /api/chunked-upload/init HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        answer = rest(connection, TIMEOUT)
    assert b"408" in answer
    assert b"body-stalled" in answer


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; a="' + ";" * 60_000,
        "multipart/form-data; boundary*" + "1" * 5000 + "=x",
        "multipart/form-data; boundary*0001=x",
    ],
)
def test_a_header_that_is_hard_to_take_apart_holds_nobody_up(
    server: Server, content_type: str
) -> None:
    answer = httpx2.post(
        f"{server.url}/api/upload",
        content=b"x",
        headers={"Content-Type": content_type},
        timeout=TIMEOUT,
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


@pytest.mark.parametrize("host", ["[", "[::1", "a]b", ""])
def test_a_host_that_is_none_is_foreign(server: Server, host: str) -> None:
    url = f"{server.url}/api/chunked-upload/"
    assert httpx2.get(url, headers={"Host": host}).status_code in (400, 403)
    assert httpx2.get(url, headers={"Origin": f"http://{host}"}).status_code == 403
