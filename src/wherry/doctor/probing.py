"""The probes, one method for each question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wherry.core.limits import KiB
from wherry.doctor import exchange2
from wherry.doctor.address import Address
from wherry.doctor.exchange import PIECE, Ask, Line
from wherry.doctor.limiting import FORM, SMALL, TYPE, Limiting
from wherry.doctor.measured import Cors, Limit
from wherry.doctor.reading import (
    allows,
    is_answer_collected,
    is_filters_page,
    is_refusal_of_size,
    is_wherrys,
    read_code,
    read_probe,
)
from wherry.doctor.reply import End, Reply
from wherry.doctor.spending import Spending

PATH = "/chunked-upload/probe"

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
        self._limiting = Limiting(self._sent, spending.left_bytes, spending.left, self._announced)

    def small(self) -> Reply:
        """A small request, and again over the same connection: its time is a round trip.

        Where a filter refuses it, and Wherry answers to the same bytes as a form, all others are
        sent as forms.
        """
        ask = Ask(length=SMALL, headers=[self.kind], waits=8.0)
        self._usual = self._line.exchange(ask)
        if is_filters_page(self._usual):
            form = replace(ask, headers=[FORM])
            if is_wherrys(reply := self._line.exchange(form)):
                self.kind, ask, self._usual = FORM, form, reply
        if self._usual.end is End.ANSWER:
            self._usual = self._line.exchange(ask)
            self._limiting.begin(self._usual)
        return self._usual

    # The largest body.

    def limit(self) -> tuple[Limit, Reply | None]:
        """The limit, and the answer that refused the smallest body that was refused."""
        return self._limiting.find()

    def _announced(self, size: int) -> Reply | None:
        """Announce a body, send a byte of it, and see whether it is refused already."""
        if self._spending.left() < 2.0:
            return None
        waits = min(max(4 * self._limiting.trip + 0.25, 0.4), 2.0)
        self._line.close()
        return self._line.exchange(Ask(length=size, sends=1, headers=[self.kind], waits=waits))

    def _sent(self, size: int) -> Reply | None:
        if self._spending.left() < 1.0:
            return None
        trial = min(2 * self._limiting.trip, 0.5)
        waits = min(self._spending.left(), 10.0)
        self._line.close()
        return self._line.exchange(Ask(length=size, headers=[self.kind], waits=waits, trial=trial))

    # What happens to bodies and answers on their way.

    def buffering(self) -> dict[str, Any]:
        """A body with a pause in the middle, and an answer that comes slowly."""
        size = 2 * PIECE if self._limiting.may_pass(2 * PIECE) else 32 * KiB
        ask = Ask(length=size, headers=[self.kind], pauses=(size // 2, 1.0))
        probe = read_probe(self._line.exchange(ask))
        request = None
        if probe is not None and probe["first_byte"] is not None:
            request = probe["last_byte"] - probe["first_byte"] < 0.4
        reply = self._line.exchange(Ask(path=f"{PATH}?drip=1", headers=[self.kind], length=1))
        return {"buffers_request": request, "buffers_answer": is_answer_collected(reply)}

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
        if limit.refuses is None or not (is_early or limit.refuses <= self._limiting.affordable()):
            return {"http2": True}
        sends = 1 if is_early else None
        ask = Ask(length=limit.refuses, sends=sends, headers=[self.kind], waits=4.0)
        reply = exchange2.exchange(self.address, ask, self._spending)
        if is_refusal_of_size(reply):
            return {"http2": True, "limit_over_2": limit.refuses}
        return {"http2": True}

    def cors(self, origin: str | None, limit: Limit) -> dict[str, Any]:
        """Whether a page of this origin may read answers, and refusals by the proxy.

        Without one, it is the address's own: its pages read every answer, so only what the
        refusals have is asked, which the pages of others need.
        """
        own = self.address.origin
        origin = origin or own
        headers = [self.kind, ("origin", origin)]
        on_answer = on_refusal = None
        if origin != own:
            on_answer = allows(self._line.exchange(Ask(length=SMALL, headers=headers)), origin)
        if limit.refuses is not None:
            self._line.close()
            early = limit.refusal is not None and limit.refusal.early
            sends = 1 if early else None
            if early or limit.refuses <= self._limiting.affordable():
                ask = Ask(length=limit.refuses, sends=sends, headers=headers, waits=4.0)
                reply = self._line.exchange(ask)
                on_refusal = allows(reply, origin) if is_refusal_of_size(reply) else None
        return {"cors": Cors(origin, on_answer, on_refusal)}


def _survives(reply: Reply) -> bool | None:
    """Of a request without a probe's answer: None where Wherry itself gave another one."""
    return None if read_code(reply) is not None or reply.end is End.UNREACHABLE else False
