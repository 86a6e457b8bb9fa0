"""One request and what came of it, over HTTP/2: the same `Ask` and `Reply` as over HTTP/1.1."""

from __future__ import annotations

import socket
import ssl
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from wherry.doctor.address import Address, Unreachable, connect
from wherry.doctor.exchange import BYTES, KEPT, PIECE, Ask
from wherry.doctor.reply import End, Reply
from wherry.doctor.spending import Spending


class _Ended(Exception):
    def __init__(self, end: End) -> None:
        self.end = end


def is_offered(address: Address, spending: Spending) -> bool | None:
    """Whether the address agrees to HTTP/2 by TLS; None without TLS, or without a connection."""
    if address.scheme != "https":
        return None
    try:
        connection = connect(address.over("h2"), spending.left())
    except Unreachable:
        return None
    with connection:
        assert isinstance(connection, ssl.SSLSocket)  # noqa: S101 - the scheme is https
        return connection.selected_alpn_protocol() == "h2"


def exchange(address: Address, ask: Ask, spending: Spending) -> Reply:
    """Make the request over a connection of its own."""
    spending.count_request()
    begun = time.monotonic()
    try:
        connection = connect(address.over("h2"), spending.left())
    except Unreachable as error:
        return Reply(End.UNREACHABLE, problem=str(error))
    with connection:
        return _Exchange(connection, address, ask, spending, begun).run()


class _Exchange:
    def __init__(
        self,
        connection: socket.socket,
        address: Address,
        ask: Ask,
        spending: Spending,
        begun: float,
    ) -> None:
        self._socket = connection
        self._address = address
        self._ask = ask
        self._spending = spending
        self._begun = begun
        self._http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self._reply = Reply(http="2")
        self._is_over = False

    def run(self) -> Reply:
        reply, length = self._reply, self._ask.length or 0
        try:
            self._http.initiate_connection()
            self._http.send_headers(1, self._headers(), end_stream=length == 0)
            self._flush()
            if length:
                self._send_body(length)
            end = time.monotonic() + min(self._ask.waits, self._spending.left())
            while not self._is_over:
                self._receive(end - time.monotonic())
            reply.end = End.ANSWER
        except _Ended as ended:
            reply.end = ended.end if reply.status is None else End.ANSWER
        except (h2.exceptions.H2Error, OSError) as error:
            reply.end = End.RESET if isinstance(error, OSError) else End.GARBLED
            reply.end = End.ANSWER if reply.status is not None else reply.end
        reply.over_at = time.monotonic() - self._begun
        reply.at = reply.at or reply.over_at
        reply.is_early = reply.sent < length
        return reply

    def _headers(self) -> list[tuple[str, str]]:
        length = [] if self._ask.length is None else [("content-length", str(self._ask.length))]
        return [
            (":method", self._ask.method),
            (":scheme", self._address.scheme),
            (":authority", self._address.authority),
            (":path", self._address.path + self._ask.path),
            *self._address.headers,
            *self._ask.headers,
            *length,
        ]

    def _send_body(self, length: int) -> None:
        """As far as there is no answer yet."""
        total = length if self._ask.sends is None else self._ask.sends
        while self._reply.sent < total and not self._is_over and self._reply.status is None:
            trial = self._ask.trial if self._reply.sent == PIECE else 0.0
            if self._address.is_readable(self._socket, trial):
                self._receive(0.01)
                continue
            room = min(self._http.local_flow_control_window(1), self._http.max_outbound_frame_size)
            size = min(room, PIECE - self._reply.sent % PIECE, total - self._reply.sent)
            if size <= 0:
                self._receive(self._ask.waits)
                continue
            if self._spending.left() <= 0 or not self._spending.take(size):
                raise _Ended(End.TIMEOUT)
            is_last = self._reply.sent + size == length
            self._http.send_data(1, BYTES[:size], end_stream=is_last)
            self._reply.sent += size
            self._flush()

    def _flush(self) -> None:
        self._socket.settimeout(max(min(self._spending.left(), 30.0), 0.01))
        self._socket.sendall(self._http.data_to_send())

    def _receive(self, seconds: float) -> None:
        """Take what comes. Raises `_Ended`."""
        if seconds <= 0:
            raise _Ended(End.TIMEOUT)
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(PIECE)
        except (TimeoutError, ssl.SSLWantReadError):
            if seconds < 0.1:
                return  # nothing but a record of TLS was there
            raise _Ended(End.TIMEOUT) from None
        if not data:
            raise _Ended(End.CLOSED)
        for event in self._http.receive_data(data):
            self._take(event)
        self._flush()

    def _take(self, event: h2.events.Event) -> None:
        reply = self._reply
        if isinstance(event, h2.events.InformationalResponseReceived):
            fields = dict(_texts(event.headers))
            reply.interim += (int(fields[":status"]),)
        elif isinstance(event, h2.events.ResponseReceived):
            reply.at = time.monotonic() - self._begun
            reply.headers = dict(_texts(event.headers))
            reply.status = int(reply.headers.pop(":status"))
        elif isinstance(event, h2.events.DataReceived):
            reply.body += event.data or b""
            self._http.acknowledge_received_data(event.flow_controlled_length or 0, 1)
            self._is_over = len(reply.body) >= KEPT
        elif isinstance(event, h2.events.StreamEnded):
            self._is_over = True
        elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
            raise _Ended(End.RESET)


def _texts(headers: object) -> list[tuple[str, str]]:
    found = []
    for name, value in headers or ():  # type: ignore[attr-defined]
        pair = [
            each.decode("latin-1") if isinstance(each, bytes) else each for each in (name, value)
        ]
        found.append((pair[0].lower(), pair[1]))
    return found
