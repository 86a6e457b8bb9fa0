"""A receiver of webhooks that verifies each one by the library, as an application would."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXM="
#: How long to wait for something, in seconds.
TIMEOUT = 120.0

Answer = tuple[int, Mapping[str, str]]
OK: Answer = (204, {})


@dataclass(frozen=True, slots=True)
class Received:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """`answers` says what each request gets, by its number from 0. `seen`: verified requests."""

    answers: Callable[[int], Answer] = lambda _: OK
    seen: list[Received] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    changed: Condition = field(default_factory=Condition)
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/hook?from=wherry"

    def wait(self, is_enough: Callable[[list[Received]], bool]) -> list[Received]:
        """Wait until `is_enough` of what was received."""
        with self.changed:
            enough = self.changed.wait_for(lambda: is_enough(self.seen), TIMEOUT)
            assert enough, f"received only {[each.event for each in self.seen]}"
            assert self.problems == []
            return list(self.seen)

    def receive(self, received: Received) -> Answer:
        with self.changed:
            try:
                Webhook(SECRET).verify(received.body, dict(received.headers))
            except Exception as error:
                self.problems.append(repr(error))
            number = len(self.seen)
            self.seen.append(received)
            self.changed.notify_all()
        return self.answers(number)  # which may wait for what a test does once it has seen this one


@contextmanager
def receiving(
    answers: Callable[[int], Answer] = lambda _: OK, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """A receiver on a free port of 127.0.0.1."""
    receiver = Receiver(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:  # the sender was killed
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, fields = receiver.receive(Received(self.path, headers, body))
            self.send_response(status)
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A sender that was killed breaks its connection off."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        receiver.scheme = "https"
    receiver.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
