"""One request and what came of it, over HTTP/1.1.

A proxy's limits show in what an ordinary client hides: whether the answer came before the body was
sent, how many bytes had been sent by then, and how a connection ended without an answer.

Rule 1: no exchange raises for what a server or proxy does. How it ended is part of the `Reply`.
"""

from __future__ import annotations

import random
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import h11

from wherry.core.errors import Overloaded
from wherry.core.limits import KiB
from wherry.doctor.address import Address, Unreachable, connect
from wherry.doctor.reading import read_code
from wherry.doctor.reply import End, Reply
from wherry.doctor.spending import Spending

#: A body is sent in pieces of this many bytes, and an answer is looked for before each.
PIECE = 64 * KiB
#: Seconds between two tries while the server has no place for a probe.
PATIENCE = 2.0
#: The most of an answer's body that is kept.
KEPT = 64 * KiB
#: The bytes of all bodies: always the same, and like those of a video to a filter.
BYTES = random.Random(413).randbytes(PIECE)  # noqa: S311 - they are no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request. `length` is announced (None: chunked); `sends` of its bytes are sent (None: all).

    `pauses`: after how many bytes the sending pauses, and for how many seconds. `gap`: with it,
    one byte is sent in each `gap` seconds. `waits`: seconds for the answer once all is sent.
    `trial`: after the first piece, seconds that an early answer is waited for. `trailers`: header
    lines after a chunked body.
    """

    method: str = "POST"
    path: str = "/chunked-upload/probe"
    headers: Sequence[tuple[str, str]] = ()
    length: int | None = 0
    sends: int | None = None
    pauses: tuple[int, float] | None = None
    gap: float | None = None
    waits: float = 5.0
    trial: float = 0.0
    expects: bool = False
    trailers: Sequence[tuple[str, str]] = ()


class _Ended(Exception):
    def __init__(self, end: End) -> None:
        self.end = end


class Line:
    """A connection to an address, opened when it is needed, and again when it has ended."""

    def __init__(self, address: Address, spending: Spending) -> None:
        self._address = address
        self._spending = spending
        self._socket: socket.socket | None = None
        self._http: h11.Connection = h11.Connection(h11.CLIENT)

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def exchange(self, ask: Ask) -> Reply:
        """Make the request; again while the server answers as many probes as it may.

        A connection that was open is replaced if it turns out to be dead.
        """
        while True:
            was_open = self._socket is not None
            reply = self._exchange(ask)
            if was_open and not reply.sent and reply.end in (End.RESET, End.CLOSED):
                reply = self._exchange(ask)
            if read_code(reply) != Overloaded.code or self._spending.left() < 2 * PATIENCE:
                return reply
            time.sleep(PATIENCE)

    def _exchange(self, ask: Ask) -> Reply:
        self._spending.count_request()
        reply = Reply()
        begun = time.monotonic()
        try:
            self._open()
        except Unreachable as error:
            return Reply(End.UNREACHABLE, problem=str(error))
        try:
            if self._send_head(ask):
                self._send_body(ask, reply)
            self._read_answer(ask, reply, begun)
        except _Ended as ended:
            reply.end = ended.end if reply.status is None else End.ANSWER
            reply.over_at = time.monotonic() - begun
            reply.at = reply.at or reply.over_at
            self.close()
        reply.is_early = ask.length is not None and reply.sent < ask.length
        self._finish()
        return reply

    def _open(self) -> None:
        if self._socket is None:
            self._socket = connect(self._address, self._spending.left())
            self._http = h11.Connection(h11.CLIENT)

    def _finish(self) -> None:
        """Keep the connection for the next request, if it can take one."""
        if self._socket is None:
            return
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self.close()

    def _send_head(self, ask: Ask) -> bool:
        headers = [("host", self._address.authority), *self._address.headers, *ask.headers]
        if ask.length is None:
            headers.append(("transfer-encoding", "chunked"))
        elif ask.length or ask.method != "GET":
            headers.append(("content-length", str(ask.length)))
        if ask.expects:
            headers.append(("expect", "100-continue"))
        target = self._address.path + ask.path
        return self._write(h11.Request(method=ask.method, target=target, headers=headers))

    def _send_body(self, ask: Ask, reply: Reply) -> None:
        """As far as there is no answer yet."""
        total = ask.length if ask.length is not None else ask.sends or 0
        total = total if ask.sends is None else ask.sends
        if ask.expects and self._is_readable(min(2.0, self._spending.left())):
            self._take_interim(reply)
        for size in _pieces(total, ask):
            pause = self._pause_before(ask, reply.sent)
            if self._spending.left() <= 0 or not self._spending.take(size):
                raise _Ended(End.TIMEOUT)
            if self._is_readable(pause) and not self._take_interim(reply):
                return
            if not self._write(h11.Data(data=BYTES[:size])):
                return
            reply.sent += size
        if ask.sends is None or ask.length is None:
            self._write(h11.EndOfMessage(headers=list(ask.trailers)))

    @staticmethod
    def _pause_before(ask: Ask, sent: int) -> float:
        if ask.gap is not None and sent:
            return ask.gap
        if ask.pauses is not None and sent == ask.pauses[0]:
            return ask.pauses[1]
        return ask.trial if sent == PIECE else 0.0

    def _take_interim(self, reply: Reply) -> bool:
        """Whether what came is no final answer."""
        data = self._receive(0.0)
        if data is None:
            return True
        self._http.receive_data(data)
        event = self._next()
        while isinstance(event, h11.InformationalResponse):
            reply.interim += (event.status_code,)
            event = self._next()
        if event is h11.NEED_DATA:
            return True
        self._take(event, reply)
        return False

    def _read_answer(self, ask: Ask, reply: Reply, begun: float) -> None:
        end = time.monotonic() + min(ask.waits, self._spending.left())
        while True:
            event = self._next()
            if event is h11.NEED_DATA:
                data = self._receive(end - time.monotonic())
                if data is None:
                    raise _Ended(End.TIMEOUT)
                self._http.receive_data(data)
                continue
            if isinstance(event, h11.EndOfMessage):
                break
            if reply.status is None and not isinstance(event, h11.InformationalResponse):
                reply.at = time.monotonic() - begun
            self._take(event, reply)
            if len(reply.body) >= KEPT:
                self.close()
                break
        reply.end = End.ANSWER
        reply.over_at = time.monotonic() - begun
        reply.at = reply.at or reply.over_at

    def _take(self, event: Any, reply: Reply) -> None:
        if isinstance(event, h11.InformationalResponse):
            reply.interim += (event.status_code,)
        elif isinstance(event, h11.Response):
            reply.status = event.status_code
            reply.http = event.http_version.decode("ascii", "replace")
            for name, value in event.headers:
                text = value.decode("latin-1")
                key = name.decode("latin-1").lower()
                reply.headers[key] = (
                    f"{reply.headers[key]}, {text}" if key in reply.headers else text
                )
        elif isinstance(event, h11.Data):
            reply.body += bytes(event.data)
        elif isinstance(event, h11.ConnectionClosed):
            raise _Ended(End.CLOSED)

    def _next(self) -> Any:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError:
            # h11 says this also of a connection that ends in the middle of an answer.
            is_over = self._http.trailing_data[1]
            raise _Ended(End.CLOSED if is_over else End.GARBLED) from None

    def _write(self, event: h11.Event) -> bool:
        """Whether the connection took it; if not, an answer has come, which is to be read.

        Raises `_Ended` if none has.
        """
        assert self._socket is not None  # noqa: S101 - it was opened
        data = self._http.send(event)
        if not data:
            return True
        self._socket.settimeout(max(min(self._spending.left(), 30.0), 0.01))
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise _Ended(End.TIMEOUT) from None
        except OSError:
            if not (answer := self._receive(0.2, broken=True)):
                raise _Ended(End.RESET) from None
            self._http.receive_data(answer)
            self._http.send_failed()
            return False
        return True

    def _is_readable(self, seconds: float) -> bool:
        """Whether something comes within `seconds`, which is not spent if it does."""
        assert self._socket is not None  # noqa: S101 - it was opened
        return self._address.is_readable(self._socket, seconds)

    def _receive(self, seconds: float, broken: bool = False) -> bytes | None:
        """What comes, empty at the end of the connection; None if nothing comes in time."""
        assert self._socket is not None  # noqa: S101 - it was opened
        self._socket.settimeout(max(seconds, 0.001))
        try:
            return self._socket.recv(PIECE)
        except (TimeoutError, ssl.SSLWantReadError):
            return None
        except ssl.SSLEOFError:
            return b""
        except OSError:
            if broken:
                return None
            raise _Ended(End.RESET) from None


def _pieces(total: int, ask: Ask) -> Iterator[int]:
    """The sizes of the pieces; the sending pauses between two of them."""
    if ask.gap is not None:
        yield from (1 for _ in range(total))
        return
    at = 0
    stops = [ask.pauses[0]] if ask.pauses is not None else []
    for stop in [*(s for s in stops if s < total), total]:
        while at < stop:
            size = min(PIECE, stop - at)
            at += size
            yield size
