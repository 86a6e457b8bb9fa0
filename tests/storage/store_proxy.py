"""Stands in front of the S3 server: counts what passes, and misbehaves when it is told to."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import parse_qs, urlsplit

#: By method and by what the query has: what the request does.
_OPERATIONS = {
    ("PUT", "partNumber"): "UploadPart",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("POST", "delete"): "DeleteObjects",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("GET", "uploadId"): "ListParts",
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", "list-type"): "ListObjects",
}
_OBJECTS = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}


def operation_of(method: str, target: str) -> str:
    url = urlsplit(target)
    if method == "OPTIONS":
        return "Preflight"
    for name in parse_qs(url.query, keep_blank_values=True):
        if (method, name) in _OPERATIONS:
            return _OPERATIONS[method, name]
    if url.path.strip("/").count("/") == 0:
        return "HeadBucket" if method == "HEAD" else "GetBucket"
    return _OBJECTS[method]


@dataclass
class Fault:
    """What happens to the next `times` requests that do `operation`.

    `status` and `code`: the answer, in place of the server's. `passes`: whether the server gets
    the request all the same. Without `status`, the connection is closed without an answer. `then`
    is called when the server has answered.
    """

    operation: str
    times: int = 1
    status: int | None = None
    code: str = ""
    passes: bool = True
    then: Callable[[], None] = lambda: None


@dataclass
class StoreProxy:
    """`sent`, `received`: bytes of bodies to the store and from it, by operation."""

    endpoint: str = ""
    faults: list[Fault] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def reset(self) -> None:
        with self.lock:
            for counter in (self.requests, self.sent, self.received):
                counter.clear()

    def fault_for(self, operation: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.operation == operation and fault.times:
                    fault.times -= 1
                    return fault
        return None


@contextmanager
def store_proxy(upstream: str) -> Iterator[StoreProxy]:
    proxy, address = StoreProxy(), urlsplit(upstream).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def handle(self) -> None:
            with suppress(ConnectionError):
                super().handle()

        def answer(self) -> None:
            operation = operation_of(self.command, self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with proxy.lock:
                proxy.requests[operation] += 1
                proxy.sent[operation] += len(body)
            fault = proxy.fault_for(operation)
            if fault is None or fault.passes:
                try:
                    status, headers, answer = self.passed_on(body)
                except ConnectionError:
                    # The server has refused a body that it had not read yet.
                    self.close_connection = True
                    return
                with proxy.lock:
                    proxy.received[operation] += len(answer)
            if fault is not None:
                fault.then()
                if fault.status is None:
                    self.close_connection = True
                    return
                status, headers = fault.status, [("Content-Type", "application/xml")]
                headers += [("Access-Control-Allow-Origin", "*")]  # pages see the status
                answer = (
                    '<?xml version="1.0" encoding="UTF-8"?>'
                    f"<Error><Code>{fault.code}</Code><Message>as told</Message></Error>"
                ).encode()
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            length = dict(headers).get("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

        def passed_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(address, timeout=60)
            try:
                connection.putrequest(
                    self.command, self.path, skip_host=True, skip_accept_encoding=True
                )
                for name, value in self.headers.items():
                    if name.lower() != "expect":
                        connection.putheader(name, value)
                connection.endheaders(body)
                answer = connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            finally:
                connection.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = answer  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    proxy.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
