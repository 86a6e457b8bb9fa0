"""One attempt: signed, pinned to the address that was checked, and bounded."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.webhooks.receiver import SECRET, receiving

from wherry.core.webhooks import LONGEST_PAUSE, Delivery
from wherry.testing.ports import free_port
from wherry.webhooks import request
from wherry.webhooks.request import Outcome, Requests

pytestmark = pytest.mark.anyio

PAYLOAD = '{"type":"upload.completed","data":{"filename":"\\u00fc"}}'


def date() -> float:
    import time

    return time.time()


def to(url: str) -> Delivery:
    return Delivery("msg_1", url, "upload.completed", PAYLOAD, 1.0)


@asynccontextmanager
async def opened(
    secrets: tuple[str, ...] = (SECRET,),
    allow_private: bool = True,
    date: Callable[[], float] = date,
) -> AsyncIterator[Requests]:
    async with Requests(secrets, allow_private, date) as requests:
        yield requests


async def test_the_library_verifies_what_is_sent() -> None:
    with receiving() as receiver:
        async with opened() as requests:
            assert await requests.send(to(receiver.url)) == Outcome()
        [received] = receiver.wait(lambda seen: len(seen) == 1)
    assert received.path == "/hook?from=wherry"
    assert received.body == PAYLOAD.encode()
    assert received.id == "msg_1"
    assert received.headers["host"] == f"localhost:{receiver.port}"
    assert received.headers["content-type"] == "application/json"


async def test_a_receiver_with_any_of_the_secrets_verifies() -> None:
    other = "whsec_" + "bmV3IHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGU="
    with receiving() as receiver:
        async with opened((other, SECRET)) as requests:
            assert await requests.send(to(receiver.url)) == Outcome()
        receiver.wait(lambda seen: len(seen) == 1)


async def test_no_address_inside_the_network_gets_a_request() -> None:
    with receiving() as receiver:
        async with opened(allow_private=False) as requests:
            outcome = await requests.send(to(receiver.url))
    assert outcome.problem is not None
    assert "is inside the network" in outcome.problem
    assert receiver.seen == []


async def test_the_address_that_was_checked_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name is resolved once: what a second answer would be does not matter."""
    asked: list[object] = []

    def getaddrinfo(host: Any, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with receiving() as receiver:
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        async with opened() as requests:
            url = f"http://receiver.example:{receiver.port}/hook"
            assert await requests.send(to(url)) == Outcome()
        [received] = receiver.wait(lambda seen: len(seen) == 1)
    assert received.headers["host"] == f"receiver.example:{receiver.port}"
    assert asked.count("receiver.example") == 1
    assert set(asked) <= {"receiver.example", "127.0.0.1"}


async def test_the_next_address_is_tried_where_one_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def addresses_of(*_: object) -> list[str]:
        return ["::1", "127.0.0.1"]  # the receiver listens on the second one

    monkeypatch.setattr(request, "addresses_of", addresses_of)
    with receiving() as receiver:
        async with opened() as requests:
            assert await requests.send(to(receiver.url)) == Outcome()


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of this host name, and its key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    command += ["-out", str(cert), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@pytest.mark.parametrize("name", ["localhost", "other.example"])
async def test_the_certificate_must_be_of_the_host_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    with receiving(tls=tls) as receiver:
        async with opened() as requests:
            outcome = await requests.send(to(receiver.url))
    if name == "localhost":
        assert outcome == Outcome()
        assert len(receiver.seen) == 1
    else:
        assert outcome.problem is not None
        assert "certificate" in outcome.problem.lower()
        assert receiver.seen == []


async def test_a_redirect_is_not_followed() -> None:
    with receiving(lambda _: (302, {"location": "/elsewhere"})) as receiver:
        async with opened() as requests:
            outcome = await requests.send(to(receiver.url))
        assert outcome.problem == "the endpoint answered 302; redirects are not followed"
        assert len(receiver.seen) == 1


@pytest.mark.parametrize(
    ("status", "retry_after", "expected"),
    [
        (200, None, Outcome()),
        (299, None, Outcome()),
        (500, "60", Outcome("the endpoint answered 500")),
        (410, "60", Outcome("the endpoint answered 410", is_gone=True)),
        (429, "60", Outcome("the endpoint answered 429", pause=60.0)),
        (503, "Thu, 01 Jan 1970 00:02:00 GMT", Outcome("the endpoint answered 503", pause=20.0)),
        (503, "Thu, 01 Jan 1970 00:00:00 GMT", Outcome("the endpoint answered 503", pause=0.0)),
        (503, "999999", Outcome("the endpoint answered 503", pause=LONGEST_PAUSE)),
        (503, "soon", Outcome("the endpoint answered 503")),
        (503, None, Outcome("the endpoint answered 503")),
    ],
)
async def test_what_an_answer_means(
    status: int, retry_after: str | None, expected: Outcome
) -> None:
    async with opened(date=lambda: 100.0) as requests:
        assert requests.outcome_of(status, retry_after) == expected


async def test_an_endpoint_that_does_not_answer_ends_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with opened() as requests:
            outcome = await requests.send(to(f"http://127.0.0.1:{silent.getsockname()[1]}/"))
    assert outcome.problem is not None


async def test_no_endpoint_there_is_a_problem_and_not_an_error() -> None:
    async with opened() as requests:
        outcome = await requests.send(to(f"http://127.0.0.1:{free_port()}/"))
        unknown = await requests.send(to("http://nothing.invalid/"))
    assert outcome.problem is not None
    assert unknown.problem is not None
