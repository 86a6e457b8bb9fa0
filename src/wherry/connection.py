"""One HTTP/1.1 connection of `wherry serve`: uvicorn's, with a bound on all that it reads.

Rule 1: one bound holds for every byte of a request that is not its body: the request line,
the header lines, the framing of a chunked body, and its trailer. They are `HEAD_BYTES` in
all; the header lines come within `HEAD_SECONDS` and are at most `HEAD_LINES`.

Rule 2: one request at a time. Bytes that follow a request which is still being answered are
not parsed. They are held, up to `HELD_BYTES`.

Rule 3: there are at most `most_connections`. A further one is answered 503 and closed.

Rule 4: the body of a request that is already answered is read to its end within
`STRANGERS_BYTES` and `DRAIN_SECONDS`, or the connection is closed. Other bodies are bounded
by the code that reads them (`protocols/bodies/`).
"""

from __future__ import annotations

import asyncio
import resource
from contextlib import suppress
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from wherry.core.limits import KiB
from wherry.lane import LaneProtocol
from wherry.lane.body import LaneBody
from wherry.lane.reading import Reading
from wherry.protocols.draining import DRAIN_SECONDS, STRANGERS_BYTES

HEAD_BYTES, HEAD_LINES, HEAD_SECONDS = 128 * KiB, 256, 10.0
#: An idle connection is closed after this time, in seconds.
IDLE_SECONDS = 5
HELD_BYTES = 512 * KiB
#: How many connections one process has at most. An idle one costs about 3 KiB.
MOST_CONNECTIONS = 5000
#: How many files a process has open that are neither connections nor of requests.
OTHER_FILES = 200
#: How much is parsed at once outside of bodies. It bounds how many small requests the parser
#: reports before they are counted.
STEP = 1 * KiB


class BoundedConnection(LaneProtocol):
    """The protocol class for uvicorn's option `http`."""

    most_connections: ClassVar[int] = MOST_CONNECTIONS

    _timer: asyncio.TimerHandle | None = None
    _held: bytearray
    _beside = 0  # bytes of this request outside its body
    _lines = 0
    _body_left: int | None = 0  # of a body of known length; None during a chunked one
    _in_head = False
    _in_body = False
    _is_last = False  # bytes after this request are not parsed
    _brought = 0  # bytes of the body among those that are being parsed
    _unread = 0  # bytes of a body whose request is already answered

    # Called by the transport.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._held = bytearray()
        if len(self.connections) > self.most_connections:
            self._is_last = True
            self._refuse(503, b"The server has too many connections.", b"retry-after: 1\r\n")
            return
        self._end_after(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_after(None)
        self._held.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._held:
            self._held += data
            self._parse_held()
            return
        taken = self._parse_next(memoryview(data))
        if taken < len(data):  # another request has to wait, or this was the last one
            self._held += memoryview(data)[taken:]
            self._parse_held()

    def _parse_held(self) -> None:
        if self._held and not self._is_last and not self.transport.is_closing():
            held = bytes(self._held)
            self._held.clear()
            self._held += memoryview(held)[self._parse_next(memoryview(held)) :]
            if self._held and self.pipeline:
                self.flow.pause_reading()
                if len(self._held) > HELD_BYTES:
                    self.transport.close()
        if self._is_last:
            self._skip(len(self._held))
            self._held.clear()

    def _parse_next(self, data: memoryview) -> int:
        """Parse bytes as far as it is their turn. Returns how many."""
        at, end = 0, len(data)
        while at < end and not self._is_last and not self.transport.is_closing():
            if self.pipeline:  # another request waits already
                break
            if not self._in_head and not self._in_body and self._timer is None:
                self._end_after(HEAD_SECONDS)  # the first bytes of a request, valid or not
            piece = data[at : at + (self._body_left or STEP)]
            self._parse(piece)
            at += len(piece)
        return at

    def _parse(self, piece: memoryview) -> None:
        self._brought = 0
        super().data_received(piece)  # type: ignore[arg-type]
        self._beside += len(piece) - self._brought
        if self._beside > HEAD_BYTES or self._lines > HEAD_LINES:
            self._refuse(431, b"The header of the request is too long.")

    def _skip(self, size: int) -> None:
        """Drop bytes that no code reads; close the connection when there are too many."""
        self._unread += size
        if self._unread > STRANGERS_BYTES:
            self.transport.close()

    # Called by the parser.

    def on_message_begin(self) -> None:
        if self._is_last:
            return
        self._in_head, self._beside, self._lines, self._unread = True, 0, 0, 0
        self._end_after(HEAD_SECONDS)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._is_last:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines += 1
        if (self._in_head or self._in_body) and self._lines <= HEAD_LINES:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_last:
            return
        self._in_head = False
        self._end_after(None)
        if self._lines > HEAD_LINES or self.transport.is_closing():
            self._is_last = True
            return
        self._in_body = True
        names = {name: value for name, value in self.headers if name in _FRAMING}
        super().on_headers_complete()
        if self.parser.should_upgrade():
            # Upgrades are not supported, and the parser stops after a request that asks for one.
            self._is_last, self.cycle.keep_alive = True, False
        elif b"transfer-encoding" in names:
            # The parser may keep bytes that follow the last chunk for the next request.
            self._body_left, self.cycle.keep_alive = None, False
        else:
            self._body_left = int(names.get(b"content-length", b"0"))

    def on_body(self, body: bytes) -> None:
        self._brought += len(body)
        if self._body_left is not None:
            self._body_left = max(self._body_left - len(body), 0)
        if self.cycle.response_complete:
            self._skip(len(body))
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._in_body:
            return
        self._is_last = self._is_last or self._body_left is None
        self._in_body, self._body_left = False, 0
        super().on_message_complete()
        if self.cycle.response_complete:
            self._end_after(IDLE_SECONDS)

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: some HTTP clients ask for h2c with each first request."""

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg.encode())

    def _refuse(self, status: int, why: bytes, headers: bytes = b"") -> None:
        """Close the connection; send `why` first, unless an answer is on its way.

        `headers`: further lines.
        """
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            head = b"content-type: text/plain\r\ncontent-length: %d\r\nconnection: close" % len(why)
            self.transport.write(b"%s%s%s\r\n\r\n%s" % (STATUS_LINE[status], headers, head, why))
        self.transport.close()

    # Called for a body that is taken around the parser.

    def take(
        self, scope: Any, length: int, timeout: float, is_distant: bool = False
    ) -> LaneBody | None:
        self._parse_held()  # a request that had to wait may have bytes here
        return super().take(scope, length, timeout, is_distant)

    def give_back(self, reading: Reading) -> None:
        self._body_left = reading.left
        super().give_back(reading)

    # Called by the cycle of request and response.

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._in_body and self.cycle.response_complete:
            self._end_after(DRAIN_SECONDS)
        if self._held:
            self.loop.call_soon(self._parse_held)

    def _end_after(self, seconds: float | None) -> None:
        """Close the connection after `seconds`, unless this is called again before; None: never."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._end)

    def _end(self) -> None:
        self._timer = None
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._end_after(HEAD_SECONDS)  # do not cut off an answer
        else:
            self.transport.close()


#: The headers that determine where a body ends.
_FRAMING = frozenset([b"content-length", b"transfer-encoding"])


def allow_files(max_requests: int | None) -> int:
    """Let this process open as many files as it needs. Returns how many connections it may have.

    Each request with a large body needs two files beside its connection. Many systems allow 1,024
    files unless a process asks for more.
    """
    needed = MOST_CONNECTIONS + 2 * (max_requests or MOST_CONNECTIONS) + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        with suppress(OSError, ValueError):  # macOS has a further limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
            soft = needed
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    of_requests = 2 * (max_requests or MOST_CONNECTIONS)
    return max(min(MOST_CONNECTIONS, max(soft - of_requests - OTHER_FILES, soft // 2)), 1)
