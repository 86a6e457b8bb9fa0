"""A refusal of ours reaches the client through real proxies, and is not made into their own."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI, HTTPException

from wherry.auth import Keys, keys_file
from wherry.listening import listening, resolve
from wherry.router import chunked_upload_router
from wherry.testing.apache import apache, require_apache
from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.server import Server, serving

MiB = 1 << 20
CHUNK = "/api/chunked-upload/chunk?upload_id=0123456789abcdef0123&offset=0"
BODY = bytes(5 * MiB)
#: Without our remedy, nginx 1.22 makes its own 502 of a third of these.
TRIES = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("server") / "data"
    Keys(keys_file(data)).add("alice")
    with serving(data, assessment=False) as server:
        yield server


@contextmanager
def through_proxy(kind: str, server: Server) -> Iterator[str]:
    if kind == "apache":
        require_apache()
        with apache(server.port) as through:
            yield through.url
    else:
        require_nginx()
        with nginx(server.port, "0", buffers=kind == "nginx") as nginx_through:
            yield nginx_through.url


PROXIES = pytest.mark.parametrize("kind", ["nginx", "nginx unbuffered", "apache"])


@PROXIES
def test_a_401_for_a_chunk_is_ours_each_time(server: Server, kind: str) -> None:
    seen: Counter[object] = Counter()
    with through_proxy(kind, server) as url:
        for _ in range(TRIES):
            answer = httpx2.post(url + CHUNK, content=BODY, headers={"Authorization": "Bearer x"})
            seen[answer.json()["code"] if answer.status_code == 401 else answer.status_code] += 1
    assert seen == {"unauthorized": TRIES}


@PROXIES
def test_behind_a_refusal_the_connection_serves_the_next_request(server: Server, kind: str) -> None:
    with through_proxy(kind, server) as url, httpx2.Client(base_url=url) as client:
        for _ in range(3):
            with client.stream("POST", CHUNK, content=BODY) as refused:
                assert refused.status_code == 401
                assert "close" not in refused.headers.get("connection", "")
                first = refused.extensions["network_stream"]
                refused.read()
            with client.stream("GET", "/healthz") as healthy:
                assert healthy.status_code == 200
                assert healthy.extensions["network_stream"] is first
                healthy.read()


@PROXIES
@pytest.mark.parametrize("expect", ["100-continue", ""])
def test_a_refusal_reaches_curl_that_waits_for_100_continue(
    server: Server, tmp_path: Path, kind: str, expect: str
) -> None:
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    file = tmp_path / "chunk"
    file.write_bytes(BODY)
    with through_proxy(kind, server) as url:
        command = [program, "-s", "-o", "/dev/null", "-w", "%{http_code} %{content_type}"]
        command += ["-H", f"Expect: {expect}", "--data-binary", f"@{file}", url + CHUNK]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "401 application/problem+json"


def nobody() -> str:
    raise HTTPException(401, "log in first")


@contextmanager
def host_application(data: Path) -> Iterator[int]:
    """An application of somebody else's, with uvicorn as it comes; the port."""
    host = FastAPI()
    host.include_router(
        chunked_upload_router(owner=nobody, data=data, assessment=False), prefix="/api"
    )
    server = uvicorn.Server(uvicorn.Config(host, log_config=None))
    with listening(resolve("127.0.0.1", 0)) as listeners:
        thread = threading.Thread(target=server.run, args=(listeners,))
        thread.start()
        try:
            yield listeners[0].getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(60)


def test_a_login_of_the_applications_own_is_asked_for_through_nginx_too(tmp_path: Path) -> None:
    require_nginx()
    seen: Counter[object] = Counter()
    with host_application(tmp_path) as port:
        for buffers in (True, False):
            with nginx(port, "0", buffers=buffers) as through:
                for _ in range(TRIES):
                    answer = httpx2.post(through.url + CHUNK, content=BODY)
                    seen[answer.json()["detail"] if answer.status_code == 401 else answer.text] += 1
    assert seen == {"log in first": 2 * TRIES}
