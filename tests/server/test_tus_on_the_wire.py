"""What HTTP libraries hide of tus: trailers, long headers."""

from __future__ import annotations

import base64
import hashlib

import pytest
from tests.server.conftest import Connect, answer

from wherry.core.limits import KiB

BODY = b"a film" * 50_000
SHA1 = b"Upload-Checksum: sha1 " + base64.b64encode(hashlib.sha1(BODY).digest()) + b"\r\n"
WRONG = b"Upload-Checksum: sha1 " + base64.b64encode(bytes(20)) + b"\r\n"
OTHER = b"Upload-Checksum: sha256 " + base64.b64encode(hashlib.sha256(BODY).digest()) + b"\r\n"
HEAD = b"Host: localhost\r\nTus-Resumable: 1.0.0\r\n"


tus = pytest.mark.tus


def headers(answered: bytes) -> dict[str, str]:
    lines = answered.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {
        name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)
    }


def status(answered: bytes) -> int:
    return int(answered.split(b" ", 2)[1])


def begin(connect: Connect, *lines: bytes) -> bytes:
    """The address of a new upload of the length of `BODY`."""
    connection = connect()
    length = b"Upload-Length: %d\r\n" % len(BODY)
    connection.sendall(b"POST /files/ HTTP/1.1\r\n" + HEAD + length + b"".join(lines) + b"\r\n")
    answered = answer(connection)
    assert status(answered) == 201, answered
    return b"/files/" + headers(answered)["location"].encode()


def told(connect: Connect, url: bytes) -> dict[str, str]:
    connection = connect()
    # By GET's way of saying it: an answer to HEAD has no body to wait for.
    connection.sendall(b"HEAD " + url + b" HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
    got = b""
    while data := connection.recv(65536):
        got += data
    assert status(got) == 200, got
    return headers(got)


def patch(
    connect: Connect,
    url: bytes,
    trailer: bytes,
    announced: bytes = b"Trailer: Upload-Checksum\r\n",
    piece: int = 100_000,
) -> bytes:
    connection = connect()
    connection.sendall(
        b"PATCH " + url + b" HTTP/1.1\r\n" + HEAD + announced + b"Upload-Offset: 0\r\n"
        b"Content-Type: application/offset+octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for at in range(0, len(BODY), piece):
        some = BODY[at : at + piece]
        connection.sendall(b"%x\r\n" % len(some) + some + b"\r\n")
    connection.sendall(b"0\r\n" + trailer + b"\r\n")
    return answer_of(connection)


def answer_of(connection: object) -> bytes:
    """The answer, which may have no body."""
    got = b""
    while b"\r\n\r\n" not in got:
        data = connection.recv(65536)  # type: ignore[attr-defined]
        assert data, got
        got += data
    return got


@tus("Checksum Trailer", "the checksum may come behind the body")
def test_a_checksum_may_come_behind_the_body(connect: Connect) -> None:
    for trailer in (SHA1, OTHER, b"X-Other: 1\r\n" + SHA1):
        url = begin(connect)
        answered = patch(connect, url, trailer)
        assert (status(answered), headers(answered)["upload-offset"]) == (204, str(len(BODY)))


@tus("Checksum Trailer", "a body with another checksum is refused by 460, and changes nothing")
@pytest.mark.parametrize(
    ("trailer", "expected"),
    [(WRONG, 460), (b"", 400), (SHA1 + SHA1, 400), (b"Upload-Checksum: whirlpool YQ==\r\n", 400)],
    ids=["wrong", "missing", "twice", "unknown"],
)
def test_a_body_whose_trailer_does_not_fit_is_dropped(
    connect: Connect, trailer: bytes, expected: int
) -> None:
    url = begin(connect)
    answered = patch(connect, url, trailer)
    assert status(answered) == expected, answered
    assert told(connect, url)["upload-offset"] == "0"
    assert status(patch(connect, url, SHA1)) == 204


def test_nothing_else_of_a_trailer_is_used(connect: Connect) -> None:
    url = begin(connect)
    smuggled = b"Upload-Offset: 5\r\nUpload-Length: 5\r\nX-HTTP-Method-Override: DELETE\r\n"
    assert status(patch(connect, url, smuggled + SHA1)) == 204
    assert told(connect, url)["upload-offset"] == str(len(BODY))


def test_a_trailer_that_was_not_announced_is_not_used(connect: Connect) -> None:
    url = begin(connect)
    assert status(patch(connect, url, WRONG, announced=b"")) == 204


def test_the_server_that_shows_trailers_says_so(connect: Connect) -> None:
    connection = connect()
    connection.sendall(b"OPTIONS /files/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert "checksum-trailer" in headers(answer(connection))["tus-extension"].split(",")


def test_metadata_of_14_kib_pass_the_server(connect: Connect) -> None:
    values = b",".join(b"note%d " % n + base64.b64encode(b"n" * 1000) for n in range(10))
    assert len(values) > 13 * KiB
    url = begin(connect, b"Upload-Metadata: " + values + b"\r\n")
    assert told(connect, url)["upload-metadata"] == values.decode()
