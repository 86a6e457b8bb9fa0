"""What limits uploads nearer than any proxy is named at the start, and nothing else is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.middleware import Middleware
from starlette.types import Message
from tests.parts import need_package

from wherry.app.host import buffering, log_host_limits
from wherry.protocols.bodies import asgi
from wherry.settings import Settings
from wherry.testing.ports import free_port

PROGRAMS = Path(__file__).parent / "programs"
TIMEOUT = 120.0
MiB = 1 << 20
SERVERS = {
    "uvicorn": "uvicorn {app} --port {port}",
    "uvicorn-worker": "gunicorn {app} -k uvicorn_worker.UvicornWorker -b 127.0.0.1:{port} "
    "--no-control-socket",
    "gunicorn": "gunicorn {app} -k asgi -b 127.0.0.1:{port} --no-control-socket",
    "hypercorn": "hypercorn {app} -b 127.0.0.1:{port}",
    "granian": "granian {app} --interface asgi --port {port}",
}


@contextmanager
def hosting(server: str, options: str, app: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """The address of the application, and the log of its server."""
    need_package("gunicorn" if server == "uvicorn-worker" else server)
    log = folder / "log"
    port = free_port()
    command = SERVERS[server].format(app=f"hosting:{app}", port=port).split()
    environment = {**os.environ, "WHERRY_DATA": str(folder / "data")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, *options.split()],
            cwd=PROGRAMS,
            stdout=out,
            stderr=out,
            env=environment,
        )
    try:
        deadline = time.monotonic() + TIMEOUT
        url = f"http://127.0.0.1:{port}"
        while True:
            try:
                httpx2.get(f"{url}/api/chunked-upload/", timeout=TIMEOUT)
                break
            except httpx2.TransportError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield url, log
    finally:
        process.terminate()
        process.wait(TIMEOUT)


def named(log: Path) -> list[str]:
    """The places that the log names."""
    found = re.findall(r'host-limit place=("[^"]*"|\S+)', log.read_text())
    return [place.strip('"') for place in found]


def upload(url: str, size: int) -> None:
    files = {"file": ("a.bin", bytes(size))}
    for content in (files, None):
        name = {"Content-Disposition": 'attachment; filename="a.bin"'}
        more: dict[str, Any] = (
            {"files": files} if content else {"content": bytes(size), "headers": name}
        )
        answer = httpx2.post(f"{url}/api/chunked-upload/upload", timeout=TIMEOUT, **more)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("uvicorn", []),
        ("uvicorn-worker", []),
        ("gunicorn", ["gunicorn --timeout"]),
        ("hypercorn", []),
        ("granian", []),
    ],
)
def test_a_server_with_its_defaults_is_named_only_for_a_limit_that_it_has(
    server: str, expected: list[str], tmp_path: Path
) -> None:
    with hosting(server, "", "watched", tmp_path) as (url, log):
        upload(url, 20 * MiB)  # in many messages, none of which looks like a whole body
        assert named(log) == expected, log.read_text()


@pytest.mark.parametrize(
    ("server", "options", "place", "problem"),
    [
        ("uvicorn", "--limit-concurrency 9", "uvicorn --limit-concurrency", "there are 9"),
        ("gunicorn", "--timeout 50", "gunicorn --timeout", "no byte comes for 50 s"),
        ("gunicorn", "--timeout 0", "gunicorn --timeout", "no byte comes for 30 s"),
        ("hypercorn", "--read-timeout 50", "hypercorn --read-timeout", "no byte comes for 50 s"),
    ],
)
def test_an_option_that_limits_requests_is_named_and_the_server_starts(
    server: str, options: str, place: str, problem: str, tmp_path: Path
) -> None:
    with hosting(server, options, "plain", tmp_path) as (url, log):
        upload(url, 1)
        assert named(log) == [place], log.read_text()
        assert problem in log.read_text()


def test_a_timeout_longer_than_ours_is_not_named(tmp_path: Path) -> None:
    with hosting("gunicorn", "--timeout 60", "plain", tmp_path) as (_, log):
        assert named(log) == []


def test_middlewares_that_read_bodies_are_named_and_others_are_not(tmp_path: Path) -> None:
    with hosting("uvicorn", "", "buffering", tmp_path) as (url, log):
        places = ["hosting.signed", "hosting.Auditing", "hosting.Collecting"]
        assert named(log) == places, log.read_text()
        upload(url, 3 * MiB)
        assert named(log) == [*places, "a middleware"]


@pytest.mark.anyio
async def test_a_body_that_comes_in_one_piece_is_noticed_once_whoever_has_read_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(1 * MiB)}

    asgi._log_buffering.cache_clear()
    for _ in range(2):
        async with asgi.AsgiSource(receive, 1 * MiB, TIMEOUT) as source:
            assert len((await source.read())[0]) == 1 * MiB
    (record,) = caplog.records
    assert record.getMessage().startswith('host-limit place="a middleware"')


def test_what_is_not_written_in_python_or_cannot_be_read_is_left_alone() -> None:
    class Application:
        user_middleware = (
            Middleware(len),  # type: ignore[arg-type]
            Middleware(type("Made", (), {"__call__": eval("lambda self, s, r, q: None")})),  # type: ignore[arg-type]
            object(),
            None,
        )

    assert list(buffering(Application())) == []


def test_nothing_that_an_application_is_ends_the_start(tmp_path: Path) -> None:
    class Broken:
        @property
        def user_middleware(self) -> object:
            raise RuntimeError("broken")

    log_host_limits(Settings(data=tmp_path), Broken())
