"""Counts the requests that Wherry makes to the store for one upload, by a proxy between the two.

    python -m bench.s3_requests [--versitygw PATH]

It starts versitygw and a server, and prints the requests of an upload in one chunk, in four
chunks, and in one request, by method. A list counts as LIST: stores charge for it as for a PUT.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.s3 import CHUNK, DATA, ROOT, MiB, request, send_wherry, wherry
from wherry.testing.s3 import S3Server, serving_s3

#: How long nothing must come until an upload counts as cleaned up, in seconds.
QUIET = 2.0
_OF_CONNECTION = frozenset(("transfer-encoding", "connection", "expect", "content-length"))


class Proxy(ThreadingHTTPServer):
    """Passes each request on to the store, and counts it."""

    def __init__(self, store: str) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.store = store.rpartition("/")[2]
        self.counts = Counter[str]()
        self.last = 0.0

    def requests_of(self, send: Callable[[], object]) -> Counter[str]:
        """The requests while `send` runs, and until none comes any more."""
        self.counts.clear()
        send()
        while time.monotonic() - self.last < QUIET:
            time.sleep(QUIET / 10)
        return Counter(self.counts)


class Passing(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def pass_on(self) -> None:
        self.server.counts["LIST" if "list-type=" in self.path else self.command] += 1
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _OF_CONNECTION}
        connection = HTTPConnection(self.server.store)
        # With a length, also for a body that came in pieces: the pieces are passed on unchanged.
        connection.request(self.command, self.path, self._body(), headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_CONNECTION:
                self.send_header(name, value)
        length = str(len(data))
        if self.command == "HEAD":
            length = answer.getheader("Content-Length") or "0"
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(data)
        self.server.last = time.monotonic()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
    setattr(Passing, f"do_{method}", Passing.pass_on)


@contextmanager
def proxied(s3: S3Server) -> Iterator[tuple[Proxy, S3Server]]:
    """The proxy, and the store as seen through it."""
    with Proxy(s3.endpoint) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield proxy, replace(s3, endpoint=f"http://127.0.0.1:{proxy.server_port}")
        finally:
            proxy.shutdown()
            thread.join()


def send_at_once(port: int, size: int) -> None:
    connection = HTTPConnection("127.0.0.1", port)
    name = {"Content-Disposition": 'attachment; filename="a"'}
    request(connection, "POST", "/api/upload", DATA[:size], name)
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the requests to the store.")
    built = ROOT / ".cache" / "versitygw-1.8.0" / "versitygw"
    parser.add_argument("--versitygw", type=Path, default=built)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wherry-bench-s3-") as name:
        folder = Path(name)
        own = folder / "wherry"
        own.mkdir()
        with (
            serving_s3(str(given.versitygw), folder / "s3") as s3,
            proxied(s3) as (proxy, through),
            wherry(own, through) as server,
        ):
            proxy.requests_of(lambda: None)  # those of the start
            for what, send in (
                ("1 MiB in one chunk", lambda: send_wherry(server.port, MiB)),
                ("20 MiB in chunks of 5 MiB", lambda: send_wherry(server.port, 4 * CHUNK)),
                ("1 MiB in one request", lambda: send_at_once(server.port, MiB)),
                ("512 KiB in one request", lambda: send_at_once(server.port, MiB // 2)),
                ("100 KiB in one request", lambda: send_at_once(server.port, 102_400)),
            ):
                counts = proxy.requests_of(send)
                each = ", ".join(f"{number} {method}" for method, number in sorted(counts.items()))
                print(f"{what}: {counts.total()} ({each})")


if __name__ == "__main__":
    main()
