"""The configurations of deploy/proxies, each in its real proxy."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from bench.peers import NotInstalled
from tests.e2e.conftest import make_file, sha256
from tests.lab.proxies import Front, Proxy
from tests.lab.ready import FOLDER, READY, find_ready
from tests.parts import need, need_package

from wherry.client import Client
from wherry.testing.server import Server, serving

CACHE = Path(__file__).parents[2] / ".cache" / "lab"
MiB = 1 << 20
#: Seconds that anything may take on a busy machine.
TIMEOUT = 60.0


class Application(ThreadingHTTPServer):
    """Behind a proxy: notes what arrives, and when."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.headers: dict[str, str] = {}
        self.has_begun = threading.Event()
        self.may_end = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: Application
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.headers = {name.lower(): value for name, value in self.headers.items()}
        length -= len(self.rfile.read(min(length, MiB)))
        self.server.has_begun.set()
        while length:
            length -= len(self.rfile.read(min(length, MiB)))
        self._answer(b"done")

    def do_GET(self) -> None:
        if self.path != "/events":
            self._answer(b"ready")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._event(b"data: 1\n\n")
        self.server.may_end.wait(TIMEOUT)
        self._event(b"data: 2\n\n")
        self._event(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _event(self, event: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def application() -> Iterator[Application]:
    with Application() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.may_end.set()
            server.shutdown()
            thread.join()


@contextmanager
def in_front(proxy: Proxy, folder: Path, upstream: int) -> Iterator[Front]:
    try:
        proxy.install(CACHE)
    except NotInstalled as reason:
        need(False, f"{proxy.title} ({reason})")
    folder.chmod(0o755)
    with proxy.serve(folder, CACHE, READY, upstream) as front:
        yield front


def url(front: Front) -> str:
    return f"https://127.0.0.1:{front.port}"


def trusting(front: Front) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=front.certificate)


@pytest.fixture(params=find_ready(), ids=lambda proxy: proxy.key)
def proxy(request: pytest.FixtureRequest) -> Proxy:
    found: Proxy = request.param
    return found


def test_every_configuration_is_tested_by_the_laboratory() -> None:
    named = {"nginx.conf", "haproxy.cfg", "apache.conf", "Caddyfile", "envoy.yaml"}
    assert {path.name for path in FOLDER.iterdir()} == named | {"traefik.yml", "traefik-wherry.yml"}
    assert len(find_ready()) == 6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("server") / "data"
    with serving(data, assessment=False, chunk_size="64MiB") as server:
        yield server


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is larger than any chunk."""
    return make_file(tmp_path_factory.mktemp("large") / "film.mp4", 65 * MiB)


def test_a_file_of_any_size_passes_in_one_request_and_in_chunks(
    proxy: Proxy, server: Server, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_package("h2")
    with in_front(proxy, tmp_path, server.port) as front:
        with httpx2.Client(verify=trusting(front), http2=True, timeout=TIMEOUT) as http:
            wait_until_ready(http, front)
            with large.open("rb") as body:
                answer = http.post(f"{url(front)}/api/chunked-upload/upload", files={"file": body})
        assert answer.status_code == 200, answer.text
        assert answer.http_version == "HTTP/2"
        monkeypatch.setenv("SSL_CERT_FILE", str(front.certificate))
        with Client(f"{url(front)}/api") as client:
            result = client.upload(large)
        assert result.refused == 0
    for upload_id in (answer.json()["upload_id"], result.upload_id):
        [stored] = (server.data / "files").glob(f"{upload_id}*")
        assert sha256(stored) == sha256(large)
        stored.unlink()


def wait_until_ready(http: httpx2.Client, front: Front) -> None:
    """HAProxy asks the server first whether it is ready."""
    while http.get(f"{url(front)}/readyz").status_code != 200:
        pass


def test_bodies_and_events_pass_as_they_come_with_the_public_host(
    proxy: Proxy, tmp_path: Path
) -> None:
    with application() as server, in_front(proxy, tmp_path, server.server_address[1]) as front:
        with httpx2.Client(verify=trusting(front), timeout=TIMEOUT) as http:
            wait_until_ready(http, front)
            with http.stream("GET", f"{url(front)}/events") as answer:
                lines = answer.iter_lines()
                assert next(lines) == "data: 1"
                server.may_end.set()
                assert list(lines)[-2:] == ["data: 2", ""]
        head = f"POST / HTTP/1.1\r\nHost: uploads.test\r\nContent-Length: {8 * MiB}\r\n\r\n"
        # Traefik's and Caddy's configurations are for one name.
        head = head.replace("uploads.test", f"127.0.0.1:{front.port}")
        plain = socket.create_connection(("127.0.0.1", front.port), timeout=TIMEOUT)
        with trusting(front).wrap_socket(plain, server_hostname="127.0.0.1") as line:
            line.sendall(head.encode() + bytes(4 * MiB))
            assert server.has_begun.wait(TIMEOUT), "the proxy waits for the whole body"
            line.sendall(bytes(4 * MiB))
            assert line.recv(1 << 16).startswith(b"HTTP/1.1 200")
    assert server.headers["host"] == f"127.0.0.1:{front.port}"
    assert server.headers["x-forwarded-proto"] == "https"
    assert server.headers["x-forwarded-for"]
