"""A server that speaks the chunked API from memory, and does what a test orders.

Not the real one: these tests are about what the client does when a server or a
proxy answers in ways that the real one hardly can be brought to.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import httpx2
import uvicorn

from wherry.client.ranges import gaps, merge
from wherry.core.digests import crc64
from wherry.core.limits import KiB, MiB
from wherry.core.ranges import Range

BASE = "http://test/api"
HTML = "text/html"
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def verb(self) -> str:
        """`init`, `chunk`, `complete`, ... or `upload`, or an identifier."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: dict[str, str]


def reply(status: int, value: object, **headers: str) -> Reply:
    fields = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json.dumps(value).encode(), {"content-type": "application/json"} | fields)


def page(status: int, text: str = "<html>no</html>", **headers: str) -> Reply:
    """What a proxy says."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, text.encode(), {"content-type": HTML} | fields)


def problem(status: int, code: str, retryable: bool = False, **facts: Any) -> Reply:
    body = {"type": f"urn:wherry:problem:{code}", "status": status, "code": code}
    body |= {"detail": code, "retryable": retryable, "hint": ""}
    return Reply(status, json.dumps(body | facts).encode(), {"content-type": PROBLEM})


@dataclass
class FakeUpload:
    id: str
    filename: str
    data: bytearray
    fingerprint: str | None
    metadata: dict[str, str]
    received: list[Range] = field(default_factory=list)
    state: str = "receiving"

    @property
    def received_bytes(self) -> int:
        return sum(map(len, self.received))


class FakeServer:
    """`trouble(asked)` may answer instead of the server; `after(asked)` hears what it did.

    `hold(verb)` is awaited while the request counts as one of those `at_once`.
    """

    def __init__(self, chunk_size: int = 5 * MiB, max_body: int | None = None) -> None:
        self.chunk_size = chunk_size
        self.min_chunk = 64 * KiB
        self.max_body = max_body  # as of a proxy in front
        self.path: dict[str, int | None] | None = None  # what it knows of the path
        self.uploads: dict[str, FakeUpload] = {}
        self.keys: dict[str, FakeUpload] = {}  # of whole files, by Idempotency-Key
        self.asked: list[Asked] = []
        self.peers: set[object] = set()  # a client's address is there once for each connection
        self.replied: list[tuple[str, int]] = []
        self.at_once = 0
        self.trouble: Callable[[Asked], Reply | None] = lambda asked: None
        self.after: Callable[[Asked], None] = lambda asked: None
        self.hold: Callable[[str], Awaitable[None]] = _go_on
        self.assessments: list[dict[str, Any]] = []
        self.tail: int | None = None  # the bytes of the end that it wants second
        self.early: dict[str, Any] = {}  # its answer to whoever asks for the early verdict

    @property
    def only(self) -> FakeUpload:
        """The one upload there is."""
        [upload] = self.uploads.values()
        return upload

    def verbs(self, verb: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.verb == verb]

    def statuses(self, verb: str) -> list[int]:
        return [status for name, status in self.replied if name == verb]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        assert scope["type"] == "http"
        self.peers.add(scope.get("client"))
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = {
            name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()
        }
        body = bytearray()
        refused = (
            self.max_body is not None and int(headers.get("content-length", 0)) > self.max_body
        )
        self.at_once += 1
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return  # A body that was cut leaves nothing.
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            await self.hold(scope["path"].rsplit("/", 1)[-1])
        finally:
            self.at_once -= 1
        asked = Asked(scope["method"], scope["path"], query, headers, bytes(body))
        self.asked.append(asked)
        answer = page(413) if refused else self.trouble(asked) or self._answer(asked)
        self.after(asked)
        self.replied.append((asked.verb, answer.status))
        fields = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        fields.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": fields})
        await send({"type": "http.response.body", "body": answer.body})

    def _answer(self, asked: Asked) -> Reply:
        verbs = {"init": self._init, "chunk": self._chunk, "complete": self._complete}
        if asked.path == "/api/chunked-upload/upload":
            return self._whole(asked)
        if asked.path.startswith("/api/chunked-upload/assessments/"):
            now = self.assessments.pop(0) if len(self.assessments) > 1 else self.assessments[0]
            return reply(200, {"assessment_id": asked.verb, "upload_id": "u", **now})
        if asked.method == "POST" and asked.verb in verbs:
            return verbs[asked.verb](asked)
        if asked.verb == "cancel":
            self.uploads[asked.json["upload_id"]].state = "cancelled"
            return reply(200, {})
        if asked.method == "GET" and "fingerprint" in asked.query:
            print_ = asked.query["fingerprint"]
            alike = [u for u in self.uploads.values() if u.fingerprint == print_]
            return reply(200, {"uploads": [self._facts(u) for u in reversed(alike)]})
        if asked.verb == "early-verdict":
            return reply(200, self.early)
        if asked.method == "GET" and asked.verb in self.uploads:
            return reply(200, self._facts(self.uploads[asked.verb]))
        return problem(404, "upload-not-found")

    def _init(self, asked: Asked) -> Reply:
        wanted = asked.json
        for upload in self.uploads.values():
            same = upload.fingerprint == wanted["fingerprint"] and upload.state == "receiving"
            if same and len(upload.data) == wanted["size"]:
                return reply(200, self._facts(upload))
        made = self._new(wanted["filename"], wanted["size"], wanted["fingerprint"])
        made.metadata = wanted.get("metadata", {})
        return reply(201, self._facts(made))

    def _new(self, filename: str, size: int, fingerprint: str | None) -> FakeUpload:
        made = FakeUpload(f"upload-{len(self.uploads)}", filename, bytearray(size), fingerprint, {})
        self.uploads[made.id] = made
        return made

    def _facts(self, upload: FakeUpload) -> dict[str, Any]:
        return {
            "upload_id": upload.id,
            "state": upload.state,
            "filename": upload.filename,
            "fingerprint": upload.fingerprint,
            "digest": _digest(upload.data),
            "size": len(upload.data),
            "chunk_size": self.chunk_size,
            "limits": {"max_size": None, "min_chunk": self.min_chunk, "max_chunk": 64 * MiB},
            "concurrency": 4,
            "path": self.path,
            "early": None if self.tail is None else {"tail": self.tail},
            "received_bytes": upload.received_bytes,
            "received": [[r.start, r.end] for r in upload.received],
            "expires_at": "2030-01-01T00:00:00Z",
        }

    def _chunk(self, asked: Asked) -> Reply:
        upload = self.uploads[asked.query["upload_id"]]
        kind = asked.headers["content-type"]
        if kind.startswith("multipart/form-data"):
            asked = replace(asked, body=_parse_form(kind, asked.body)[2])
        start, end = int(asked.query["offset"]), int(asked.query["offset"]) + len(asked.body)
        if upload.state != "receiving":
            return problem(410, "upload-gone", state=upload.state)
        if end > len(upload.data):
            return problem(400, "range-outside")
        if len(asked.body) < self.min_chunk and end != len(upload.data):
            return problem(400, "chunk-below-minimum")
        if asked.headers["content-digest"] != _digest(asked.body):
            return problem(422, "digest-mismatch", retryable=True)
        for gap in gaps(upload.received, len(upload.data)):
            first, last = max(gap.start, start), min(gap.end, end)
            if first < last:
                upload.data[first:last] = asked.body[first - start : last - start]
        upload.received = merge([*upload.received, Range(start, end)])
        missing = [[gap.start, gap.end] for gap in gaps(upload.received, len(upload.data))]
        return reply(200, {"received_bytes": upload.received_bytes, "missing": missing[:100]})

    def _complete(self, asked: Asked) -> Reply:
        upload = self.uploads[asked.json["upload_id"]]
        missing = gaps(upload.received, len(upload.data))
        if missing:
            ranges = [[gap.start, gap.end] for gap in missing]
            return problem(409, "bytes-missing", missing=ranges)
        if asked.json.get("digest", _digest(upload.data)) != _digest(upload.data):
            upload.state = "failed"
            return problem(422, "file-digest-mismatch")
        upload.state = "complete"
        return reply(200, self._done(upload))

    def _whole(self, asked: Asked) -> Reply:
        key = asked.headers["idempotency-key"]
        assert re.fullmatch(r'"[!-~]{16,64}"', key)
        if upload := self.keys.get(key):
            return reply(200, self._done(upload))
        data, name = asked.body, asked.headers.get("content-disposition", "")
        fields: dict[str, str] = {}
        kind = asked.headers.get("content-type", "")
        if kind.startswith("multipart/form-data"):
            fields, name, data = _parse_form(kind, data)
        elif not name:
            return problem(400, "bad-request", field="content-disposition")
        elif asked.headers["content-digest"] != _digest(data):
            return problem(422, "digest-mismatch", retryable=True)
        name = unquote(name.partition("''")[2] or name)
        upload = self._new(name, len(data), asked.query.get("fingerprint"))
        upload.data[:], upload.metadata, upload.state = data, fields, "complete"
        upload.received = merge([Range(0, len(data))]) if data else []
        self.keys[key] = upload
        return reply(200, self._done(upload))

    def _done(self, upload: FakeUpload) -> dict[str, Any]:
        return {"upload_id": upload.id, "assessment_id": f"of-{upload.id}", "state": "complete"}


async def _go_on(verb: str) -> None:
    pass


def _parse_form(kind: str, body: bytes) -> tuple[dict[str, str], str, bytes]:
    """The fields before the file, the file's name, and its bytes."""
    form = BytesParser(policy=HTTP).parsebytes(f"content-type: {kind}\r\n\r\n".encode() + body)
    parts: list[tuple[str, bytes]] = []
    for part in form.iter_parts():
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        parts.append((str(part.get_param("name", header="content-disposition")), data))
    *fields, (last, content) = parts
    assert last in ("file", "chunk")
    return {name: text.decode() for name, text in fields}, part.get_filename() or "", content


def _digest(data: bytes | bytearray) -> str:
    return f"crc64nvme=:{b64encode(crc64(bytes(data)).to_bytes(8, 'big')).decode()}:"


class Broken(httpx2.AsyncBaseTransport):
    """Carries requests to a server in this process.

    `before` and `after` may give an error to raise instead of carrying the request, or
    of handing over its answer.
    """

    def __init__(self, server: FakeServer) -> None:
        self._inner = httpx2.ASGITransport(server)
        self.before: Callable[[httpx2.Request], Exception | None] = lambda request: None
        self.after: Callable[[httpx2.Request], Exception | None] = lambda request: None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if error := self.before(request):
            raise error
        response = await self._inner.handle_async_request(request)
        if error := self.after(request):
            raise error
        return response


def nth(verb: str, number: int, answer: Reply) -> Callable[[Asked], Reply | None]:
    """`answer` for the request of this verb with this number, counted from 1."""
    seen = 0

    def trouble(asked: Asked) -> Reply | None:
        nonlocal seen
        seen += asked.verb == verb
        return answer if asked.verb == verb and seen == number else None

    return trouble


@contextmanager
def serving(app: FakeServer, port: int = 0, certificate: Path | None = None) -> Iterator[int]:
    """The server on a real socket of 127.0.0.1, in a thread; the port.

    `certificate`: with its key; then the server speaks TLS.
    """
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=1,
        ssl_certfile=certificate,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
