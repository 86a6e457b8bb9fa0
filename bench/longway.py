"""A long way to the server: TLS at nginx, behind a proxy that adds a round-trip time.

client → delaying proxy → nginx (TLS) → Wherry. The client is this process, with Python's TLS.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

from bench.driving import Driven, Failed, Uploaded
from bench.native import build_delay
from bench.peers import Dialect, Way
from bench.processes import Running, answers, free_port, running
from bench.workloads import TIMEOUT, Workload
from wherry.testing.nginx import find_nginx

ROUND_TRIP_MS = 40
AT_ONCE = 4
BLOCK = 256 * 1024
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def find_missing() -> str | None:
    """Why the long way cannot be built here; None if it can."""
    for name, found in (("nginx", find_nginx()), ("openssl", shutil.which("openssl"))):
        if found is None:
            return f"{name} is not installed"
    return None


def drive_long_way(
    server: Running, dialect: Dialect, way: Way, *, workload: Workload, source: Path, cache: Path
) -> Driven:
    """Upload one file to Wherry, in chunks with four requests at once, or in one request.

    Raises `Failed`.
    """
    folder = server.log.parent / "longway"
    folder.mkdir()
    with ExitStack() as stack:
        port = stack.enter_context(_tls(folder, server.port))
        port = stack.enter_context(_delay(folder, cache, port, workload.rate))
        file = stack.enter_context(source.open("rb"))
        content = stack.enter_context(
            mmap.mmap(file.fileno(), workload.size, access=mmap.ACCESS_READ)
        )
        begun, cpu = time.perf_counter(), _cpu_seconds()
        with memoryview(content) as view:
            client = _Client(port, dialect.base, view, workload.request)
            try:
                identifier, finishing = client.upload(in_one=way is Way.ONE)
            except (OSError, ValueError, KeyError) as error:
                raise Failed(f"{error!r}\n{server.end_of_log()}") from None
        took = time.perf_counter() - begun
        return Driven(took, _cpu_seconds() - cpu, [Uploaded(0, took, finishing, identifier)])


@dataclass
class _Client:
    port: int
    base: str
    content: memoryview
    request: int

    def upload(self, in_one: bool) -> tuple[str, float]:
        """Returns the upload's identifier, and the seconds of the finishing call."""
        with _Connection(self.port) as connection:
            if in_one:
                headers = 'Content-Disposition: attachment; filename="0.bin"\r\n'
                answer = connection.post(f"{self.base}/upload", self.content, headers)
                return str(answer["upload_id"]), 0.0
            wanted = {"filename": "0.bin", "size": len(self.content)}
            upload_id = str(connection.post_json(f"{self.base}/init", wanted)["upload_id"])
            self._send_chunks(upload_id, connection)
            begun = time.perf_counter()
            connection.post_json(f"{self.base}/complete", {"upload_id": upload_id})
            return upload_id, time.perf_counter() - begun

    def _send_chunks(self, upload_id: str, first: _Connection) -> None:
        offsets = iter(range(0, len(self.content), self.request))
        mutex = threading.Lock()

        def send(connection: _Connection) -> None:
            while True:
                with mutex:
                    offset = next(offsets, None)
                if offset is None:
                    return
                path = f"{self.base}/chunk?upload_id={upload_id}&offset={offset}"
                connection.post(path, self.content[offset : offset + self.request])

        def send_on_another() -> None:
            with _Connection(self.port) as connection:
                send(connection)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            sending = [pool.submit(send, first)]
            sending += [pool.submit(send_on_another) for _ in range(AT_ONCE - 1)]
            for one in sending:
                one.result()


class _Connection:
    """One TLS connection, kept for all its requests."""

    def __init__(self, port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The certificate was made a moment ago, for this run alone.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain)

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def post_json(self, path: str, value: object) -> dict[str, object]:
        body = memoryview(json.dumps(value).encode())
        return self.post(path, body, "Content-Type: application/json\r\n")

    def post(self, path: str, body: memoryview, headers: str = "") -> dict[str, object]:
        """Send a request and return its answer's JSON. Raises `ValueError` for a refusal."""
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        for begin in range(0, len(body), BLOCK):
            self._socket.sendall(body[begin : begin + BLOCK])
        answer = HTTPResponse(self._socket)
        answer.begin()
        text = answer.read()
        if answer.status not in (200, 201):
            raise ValueError(f"{path} was answered with {answer.status}: {text[:300]!r}")
        found: dict[str, object] = json.loads(text)
        return found


@contextmanager
def _delay(folder: Path, cache: Path, upstream: int, rate: int) -> Iterator[int]:
    log = folder / "delay.log"
    command = [str(build_delay(cache)), str(upstream), str(ROUND_TRIP_MS // 2), str(rate)]
    with running(command, 0, log, lambda _: log.read_text().endswith("\n")):
        yield int(log.read_text())


@contextmanager
def _tls(folder: Path, upstream: int) -> Iterator[int]:
    port = free_port()
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = [str(shutil.which("openssl")), "req", "-x509", "-newkey", "ec"]
    command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, capture_output=True, timeout=30, check=True)
    for name in TEMPORARY:
        (folder / name).mkdir()
    temporary = "\n  ".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
    configuration = folder / "nginx.conf"
    configuration.write_text(f"""\
{"user root;" if os.getuid() == 0 else ""}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_max_body_size 0;
  {temporary}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_read_timeout {TIMEOUT}s;
    }}
  }}
}}
""")
    command = [str(find_nginx()), "-p", str(folder), "-c", str(configuration)]
    # To plain HTTP on this port, nginx answers 400.
    with running(command, port, folder / "nginx.log", lambda _: answers(port, "/") is not None):
        yield port


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
