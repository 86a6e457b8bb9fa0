"""The probes, one method for each question."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

from wherry.core.limits import KiB, MiB
from wherry.doctor import exchange2
from wherry.doctor.address import Address
from wherry.doctor.exchange import PIECE, Ask, End, Line, Reply
from wherry.doctor.measured import Cors, Limit, Refusal
from wherry.doctor.reading import (
    FILTERS,
    is_refusal_of_size,
    is_wherrys,
    outcome,
    read_code,
    read_probe,
)
from wherry.doctor.searching import Outcome, search
from wherry.doctor.spending import Spending

PATH = "/chunked-upload/probe"
#: The type of the bodies, as clients send chunks; and the one that is tried where that is refused.
TYPE = ("content-type", "application/octet-stream")
FORM = ("content-type", "multipart/form-data; boundary=wherry-doctor")
#: The small body that shows what is usual.
SMALL = 1 * KiB
#: Of the bytes that may be spent, what other questions than the limit need.
RESERVED = 1 * MiB

METHODS = ("GET", "PUT", "PATCH", "DELETE")
TYPES = (
    "application/octet-stream",
    "application/offset+octet-stream",
    "application/partial-upload",
    "multipart/form-data; boundary=wherry-doctor",
    "video/mp4",
)
#: Headers that upload protocols need.
HEADERS = (
    ("content-digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"),
    ("content-disposition", "attachment; filename*=UTF-8''f%C3%BCr.mp4"),
    ("idempotency-key", '"wherry-doctor"'),
    ("upload-complete", "?1"),
    ("upload-offset", "0"),
    ("upload-length", "100"),
    ("upload-metadata", "filename ZmlsbQ=="),
    ("upload-draft-interop-version", "8"),
    ("tus-resumable", "1.0.0"),
    ("x-http-method-override", "PATCH"),
)
#: What a client sends that knows a checksum only when it has sent the body.
TRAILERS = (("upload-checksum", "sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk="),)


class Probing:
    """Asks over `line`. `small` comes first."""

    def __init__(self, address: Address, line: Line, spending: Spending) -> None:
        self.address = address
        self._line = line
        self._spending = spending
        self.kind = TYPE
        self._usual = Reply()
        self._trip = 0.5  # seconds of a small request
        self._refusal: Reply | None = None
        self._refused_at = 0
        self._speed = 0.0  # bytes a second, 0: not known

    def small(self) -> Reply:
        """A small request, and again over the same connection: its time is a round trip.

        Where a filter refuses it, and Wherry answers to the same bytes as a form, all others are
        sent as forms.
        """
        ask = Ask(length=SMALL, headers=[self.kind], waits=8.0)
        self._usual = self._line.exchange(ask)
        if self._usual.status in FILTERS and not is_wherrys(self._usual):
            form = replace(ask, headers=[FORM])
            if is_wherrys(reply := self._line.exchange(form)):
                self.kind, ask, self._usual = FORM, form, reply
        if self._usual.end is End.ANSWER:
            self._usual = self._line.exchange(ask)
            self._trip = min(max(self._usual.over_at, 0.001), 3.0)
        return self._usual

    # The largest body.

    def limit(self) -> tuple[Limit, Reply | None]:
        """The limit, and the answer that refused the smallest body that was refused."""
        found = search(self._announce, self._send, self._affordable)
        passes: int | None = found.passes or None
        if found.refuses is None:
            passes = found.sent or None
        proof = None if passes is None else "sent" if passes == found.sent else "announced"
        refusal = None
        if found.refuses is not None and self._refusal is not None:
            refusal = _refusal(self._refusal)
        limit = Limit(passes, found.refuses, found.is_exact, proof, found.sent, refusal)
        return limit, self._refusal if found.refuses is not None else None

    def _announce(self, size: int) -> Outcome:
        """Announce a body, send a byte of it, and see whether it is refused already."""
        if self._spending.left() < 2.0:
            return Outcome.UNKNOWN
        waits = min(max(4 * self._trip + 0.25, 0.4), 2.0)
        ask = Ask(length=size, sends=1, headers=[self.kind], waits=waits)
        self._line.close()
        reply = self._line.exchange(ask)
        found = outcome(reply, size, self._usual)
        if reply.end in (End.RESET, End.CLOSED):
            # A server that closes such a connection at once does so for more reasons than size.
            found = Outcome.OPEN
        return self._noted(found, reply, size)

    def _send(self, size: int) -> Outcome:
        """Send a body of that size. A reset counts only if it comes again."""
        found, reply = self._send_once(size)
        if found is Outcome.REFUSED and reply.end is not End.ANSWER:
            found, reply = self._send_once(size)
        if found is Outcome.PASSED and size >= 256 * KiB:
            self._speed = size / max(reply.at - self._trip, 0.001)
        return self._noted(found, reply, size)

    def _send_once(self, size: int) -> tuple[Outcome, Reply]:
        if self._spending.left() < 1.0:
            return Outcome.UNKNOWN, Reply()
        trial = min(2 * self._trip, 0.5)
        waits = min(self._spending.left(), 10.0)
        self._line.close()
        reply = self._line.exchange(Ask(length=size, headers=[self.kind], waits=waits, trial=trial))
        return outcome(reply, size, self._usual), reply

    def _affordable(self) -> int:
        bytes_left = max(self._spending.left_bytes() - RESERVED, 0)
        if self._speed:
            bytes_left = min(bytes_left, int(self._speed * max(self._spending.left() - 4.0, 0) / 3))
        return bytes_left

    def _noted(self, found: Outcome, reply: Reply, size: int) -> Outcome:
        if found is Outcome.REFUSED and (self._refusal is None or size < self._refused_at):
            self._refusal, self._refused_at = reply, size
        return found

    # What happens to bodies and answers on their way.

    def buffering(self) -> dict[str, Any]:
        """A body with a pause in the middle, and an answer that comes slowly."""
        size = 2 * PIECE if self._passes(2 * PIECE) else 32 * KiB
        ask = Ask(length=size, headers=[self.kind], pauses=(size // 2, 1.0))
        probe = read_probe(self._line.exchange(ask))
        request = None
        if probe is not None and probe["first_byte"] is not None:
            request = probe["last_byte"] - probe["first_byte"] < 0.4
        reply = self._line.exchange(Ask(path=f"{PATH}?drip=1", headers=[self.kind], length=1))
        slow = read_probe(reply)
        answer = None if slow is None else reply.over_at - reply.at < 0.4
        return {"buffers_request": request, "buffers_answer": answer}

    def _passes(self, size: int) -> bool:
        return self._refusal is None or size < self._refused_at

    def variety(self) -> dict[str, Any]:
        """Methods, types and headers, and the host with which requests arrive."""
        methods: dict[str, bool | None] = {"POST": True}
        for method in METHODS:
            length = 0 if method in ("GET", "DELETE") else 64
            reply = self._line.exchange(Ask(method=method, length=length, headers=[self.kind]))
            probe = read_probe(reply)
            methods[method] = _survives(reply) if probe is None else probe["method"] == method
        types: dict[str, bool | None] = {}
        for kind in TYPES:
            reply = self._line.exchange(Ask(length=64, headers=[("content-type", kind)]))
            probe, name = read_probe(reply), kind.partition(";")[0]
            if probe is None:
                types[name] = _survives(reply)
            else:
                types[name] = probe["headers"].get("content-type") == kind
        reply = self._line.exchange(Ask(length=64, headers=[self.kind, *HEADERS]))
        probe = read_probe(reply)
        arrived: Mapping[str, str | None] = {} if probe is None else probe["headers"]
        headers: dict[str, str | None] = {}
        for name, value in HEADERS:
            if probe is None:
                headers[name] = None
            elif name not in arrived:
                headers[name] = "missing"
            else:
                headers[name] = "passed" if arrived[name] == value else "changed"
        host = None if probe is None else probe["host"]
        return {
            "methods": methods,
            "content_types": types,
            "headers": headers,
            "host_arrived": host,
        }

    def chunked(self) -> dict[str, Any]:
        """A body without a length, and a header line after such a body."""
        ask = Ask(length=None, sends=SMALL, headers=[self.kind])
        reply = self._line.exchange(ask)
        probe = read_probe(reply)
        if probe is None or probe["bytes"] != SMALL:
            return {"chunked": False if probe is not None else _survives(reply)}
        names = ("trailer", ", ".join(name for name, _ in TRAILERS))
        reply = self._line.exchange(
            replace(ask, headers=[self.kind, names, ("te", "trailers")], trailers=TRAILERS)
        )
        probe = read_probe(reply)
        if probe is None:
            return {"chunked": True, "trailers": _survives(reply)}
        arrived = probe.get("trailers")  # None, or not there: this server cannot tell
        passes = None if arrived is None else dict(TRAILERS).items() <= arrived.items()
        return {"chunked": True, "trailers": passes}

    def interim(self) -> dict[str, Any]:
        """100 when it is waited for, 103 and 104 where the server can send them."""
        found: dict[str, str | None] = {}
        reply = self._line.exchange(Ask(length=SMALL, headers=[self.kind], expects=True))
        if read_probe(reply) is not None:
            found["100"] = "passed" if 100 in reply.interim else "missing"
        else:
            found["100"] = None
        for status in (103, 104):
            ask = Ask(path=f"{PATH}?interim={status}", length=SMALL, headers=[self.kind], waits=3.0)
            reply = self._line.exchange(ask)
            probe = read_probe(reply)
            if probe is not None and status in probe["interim"]:
                found[str(status)] = self._passed_on(reply, status)
            elif probe is not None:
                found[str(status)] = None  # the server cannot send it
            else:
                # The request is one that was answered before. nginx 1.31 never answers this one.
                is_lost = reply.end in (End.TIMEOUT, End.CLOSED, End.RESET, End.GARBLED)
                found[str(status)] = "final" if is_lost else None
        return {"interim": found}

    def _passed_on(self, reply: Reply, status: int) -> str:
        """Whether an interim answer that was sent came, and was taken for what it is.

        nginx takes a 104 for the final answer, and passes the final one on as its body. A client
        sees both all the same, the second one without the header that nginx puts on answers.
        """
        if status not in reply.interim:
            return "missing"
        is_untouched = "server" in self._usual.headers and "server" not in reply.headers
        return "final" if is_untouched else "passed"

    def http2(self, limit: Limit) -> dict[str, Any]:
        """Whether HTTP/2 is offered, and whether the limit is the same there."""
        if not exchange2.is_offered(self.address, self._spending):
            is_known = self.address.scheme == "https" and self._spending.left() > 0
            return {"http2": False if is_known else None}
        is_early = limit.refusal is not None and limit.refusal.early
        if limit.refuses is None or not (is_early or limit.refuses <= self._affordable()):
            return {"http2": True}
        sends = 1 if is_early else None
        ask = Ask(length=limit.refuses, sends=sends, headers=[self.kind], waits=4.0)
        reply = exchange2.exchange(self.address, ask, self._spending)
        if is_refusal_of_size(reply):
            return {"http2": True, "limit_over_2": limit.refuses}
        return {"http2": True}

    def cors(self, origin: str | None, limit: Limit) -> dict[str, Any]:
        """Whether a page of another origin may read answers, and refusals by the proxy."""
        if origin is None:
            return {}
        headers = [self.kind, ("origin", origin)]
        on_answer = _allows(self._line.exchange(Ask(length=SMALL, headers=headers)), origin)
        on_refusal = None
        if limit.refuses is not None:
            self._line.close()
            early = limit.refusal is not None and limit.refusal.early
            sends = 1 if early else None
            if early or limit.refuses <= self._affordable():
                ask = Ask(length=limit.refuses, sends=sends, headers=headers, waits=4.0)
                reply = self._line.exchange(ask)
                on_refusal = _allows(reply, origin) if is_refusal_of_size(reply) else None
        return {"cors": Cors(origin, on_answer, on_refusal)}


def _refusal(reply: Reply) -> Refusal:
    kinds = {End.ANSWER: "page", End.TIMEOUT: "timeout"}
    return Refusal(reply.status, kinds.get(reply.end, "reset"), reply.is_early, None)


def _survives(reply: Reply) -> bool | None:
    """Of a request without a probe's answer: None where Wherry itself gave another one."""
    return None if read_code(reply) is not None or reply.end is End.UNREACHABLE else False


def _allows(reply: Reply, origin: str) -> bool | None:
    if reply.end is not End.ANSWER:
        return None
    return reply.headers.get("access-control-allow-origin") in ("*", origin)


def skew(reply: Reply) -> float | None:
    """How many seconds the answering clock is ahead of this one."""
    try:
        theirs = parsedate_to_datetime(reply.headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
    return round(theirs - time.time(), 0)


def describe(reply: Reply) -> str:
    """How an exchange ended that brought no answer."""
    return {
        End.RESET: "the connection was reset before an answer came",
        End.CLOSED: "the connection was closed before an answer came",
        End.GARBLED: "the answer is not HTTP",
    }.get(reply.end, "no answer came in time")
