"""One connection whose large bodies can be taken: uvicorn's, with an offer in the scope.

Rule 1: from the end of a large request's header on, nothing is read from the connection until the
application asks: by `receive`, and all is as without the lane, or by taking the body.

Rule 2: while the body is taken, the connection reads nothing, whatever the application calls.

Rule 3: when the body is given back, a new parser goes on: the old one has not
seen the bytes of the body. The rest of a body that was left early goes around the parser.
"""

from __future__ import annotations

import os
import re
import select
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from wherry.body import Ended
from wherry.core.limits import KiB
from wherry.lane.body import LaneBody
from wherry.lane.readers import DISTANT_THREADS, THREADS, readers
from wherry.lane.reading import Reading
from wherry.protocols.bodies.offer import OFFER

#: A smaller body is not offered: handing its socket over costs more than it saves. In bytes.
LEAST = 256 * KiB
#: Whether this system has what the lane needs.
_IS_AVAILABLE = all(
    [hasattr(select, "epoll"), hasattr(os, "eventfd"), hasattr(socket, "SO_RCVLOWAT")]
)

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")


class LaneProtocol(HttpToolsProtocol):
    """The protocol class for uvicorn's option `http`."""

    flow: _Flow
    _taken: LaneBody | None = None
    _seen = 0  # bytes of the body that the parser has reported
    _rest = 0  # bytes of a body that was given back, which are not parsed
    #: Of the request whose body is being parsed; None before that.
    _trailers: list[tuple[bytes, bytes]] | None = None

    # Called by the transport.

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.flow = _Flow(transport)
        # asyncio does this only if the listener names TCP. uvicorn's with several workers does not,
        # and each answer would wait for the client's acknowledgement, 40 ms on Linux.
        connection = transport.get_extra_info("socket")
        if connection is not None:
            with suppress(OSError):  # a Unix socket has no such option
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._taken is not None:
            self._taken.end(Ended.CUT)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            self._unset_keepalive_if_required()
            body, data = data[: self._rest], data[self._rest :]
            self._rest -= len(body)
            self.on_body(body)
            if not self._rest:
                self.on_message_complete()
            if not data:
                return
        super().data_received(data)

    # Called by the parser.

    def on_message_begin(self) -> None:
        self._trailers = None
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # uvicorn takes a line of the trailer for a header of the request.
        if self._trailers is None:
            super().on_header(name, value)
        else:
            self._trailers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._seen, self._trailers = 0, []
        length = self._length_on_offer()
        offer = LaneOffer(self, self.scope, length, self._trailers)
        self.scope["extensions"] = {OFFER: {"offer": offer}}
        if length:
            self.flow.pause_reading()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._seen += len(body)
        super().on_body(body)

    def _length_on_offer(self) -> int:
        """The length of a body that may be taken, or 0."""
        if not _IS_AVAILABLE or self.scheme != "http" or self.parser.should_upgrade():
            return 0
        names = {name: value for name, value in self.headers if name in _FRAMING}
        length = names.get(b"content-length", b"")
        if b"transfer-encoding" in names or not length.isdigit() or int(length) < LEAST:
            return 0
        return int(length)

    # Called by the offer.

    def take(
        self, scope: Any, length: int, timeout: float, is_distant: bool = False
    ) -> LaneBody | None:
        """The body of a request, of `length` bytes, or None."""
        cycle = self.cycle
        if not self.is_current(scope) or not cycle.more_body or self._is_ending():
            return None
        is_used = self._seen != len(cycle.body)  # `receive` has brought some of it
        if is_used or self._taken is not None:
            return None
        connection = self._own_socket()
        if connection is None:
            return None
        try:
            threads = readers(DISTANT_THREADS if is_distant else THREADS)
            reading = Reading(connection, cycle.body, length - self._seen, threads)
        except OSError:
            connection.close()
            return None
        self.flow.hold()
        cycle.body = bytearray()
        ask = self._ask if cycle.waiting_for_100_continue else None
        self._taken = LaneBody(reading, timeout, self.give_back, ask)
        return self._taken

    def _ask(self) -> None:
        """Send "100 Continue", unless the answer has begun."""
        if self.cycle.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.cycle.waiting_for_100_continue = False

    def is_waiting(self, scope: Any) -> bool:
        """Whether the client of a request waits until it is asked for the body."""
        return self.is_current(scope) and bool(self.cycle.waiting_for_100_continue)

    def _is_ending(self) -> bool:
        return (
            self.cycle.disconnected or self.cycle.response_complete or self.transport.is_closing()
        )

    def _own_socket(self) -> socket.socket | None:
        known = self.transport.get_extra_info("socket")
        if known is None:
            return None
        try:
            fileno = os.dup(known.fileno())
        except OSError:  # too many open files
            return None
        return socket.socket(known.family, known.type, known.proto, fileno)

    def is_current(self, scope: Any) -> bool:
        """Whether no header was parsed after that of this request."""
        return self.cycle is not None and self.cycle.scope is scope

    def send_interim(self, scope: Any, status: int, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        if not self.is_current(scope) or self.cycle.response_started or self._is_ending():
            return False
        lines = [b"%s: %s\r\n" % header for header in headers]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n"]))
        return True

    def drop(self, scope: Any) -> None:
        if self.is_current(scope) and not self.cycle.response_started:
            self.transport.close()

    def give_back(self, reading: Reading) -> None:
        """Go on behind the body, or with its rest."""
        self._taken = None
        reading.close()
        self.flow.let_go()
        if self.parser is None or self.transport.is_closing():  # the connection is lost
            return
        self.parser = httptools.HttpRequestParser(self)
        if hasattr(self.parser, "set_dangerous_leniencies"):  # as uvicorn sets it
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._rest = reading.left
        if reading.seen:
            self.cycle.body += reading.seen
            self.cycle.message_event.set()
        if not self._rest:
            self.on_message_complete()
        self.flow.resume_reading()


class _Flow(FlowControl):
    """The pausing of a connection, which cannot be ended while its body is taken."""

    _is_held = False

    def hold(self) -> None:
        self.pause_reading()
        self._is_held = True

    def let_go(self) -> None:
        self._is_held = False

    def resume_reading(self) -> None:
        if not self._is_held:
            super().resume_reading()


class LaneOffer:
    """What is offered with one request: `protocols.bodies.offer.Offer`."""

    def __init__(
        self,
        protocol: LaneProtocol,
        scope: Any,
        length: int,
        trailers: Sequence[tuple[bytes, bytes]],
    ) -> None:
        self.is_taken = False
        self.sent: list[int] = []
        self.trailers = trailers
        self._protocol = protocol
        self._scope = scope
        self._length = length

    @property
    def is_asked_for(self) -> bool:
        return self.is_taken and not self._protocol.is_waiting(self._scope)

    def take(self, timeout: float, is_distant: bool = False) -> LaneBody | None:
        if not self._length:
            return None
        body = self._protocol.take(self._scope, self._length, timeout, is_distant)
        # The body is not kept: it refers to this, and only a garbage collection would free it.
        self.is_taken = self.is_taken or body is not None
        return body

    def send_interim(self, status: int, headers: Sequence[tuple[bytes, bytes]] = ()) -> bool:
        if not 100 <= status < 200 or status == 101:
            raise ValueError(f"{status} is not the status of an informational response")
        for name, value in headers:
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError(f"not a valid header: {name!r}: {value!r}")
        if self._scope["http_version"] != "1.1":
            return False
        is_sent = self._protocol.send_interim(self._scope, status, headers)
        if is_sent:
            self.sent.append(status)
        return is_sent

    def drop(self) -> None:
        self._protocol.drop(self._scope)


#: The headers that determine where a body ends.
_FRAMING = frozenset([b"content-length", b"transfer-encoding"])
