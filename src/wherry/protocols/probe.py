"""The probe: what arrives here of a request, for `wherry doctor`.

Rule 1: nothing is stored. A probe counts for the caller's rates as an upload does, and its bytes,
its time and the number of probes at once are bounded.

Rule 2: the answer has the values of headers that are known to be harmless. Of all others it has
the names: proxies add headers whose values are not for clients.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from wherry import __version__
from wherry.body import Ended
from wherry.core import errors
from wherry.core.errors import BadRequest, BodyCut, BodyStalled, Overloaded, TooLarge
from wherry.core.limits import LARGEST_SIZE, MiB
from wherry.core.requests import Caller
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED, JsonAnswer
from wherry.protocols.bodies.asgi import AsgiSource
from wherry.protocols.bodies.offer import offer_of
from wherry.protocols.informing import Informing
from wherry.protocols.openapi import BINARY, query
from wherry.protocols.operation import Operation
from wherry.protocols.parsing import parse_content_length

#: The largest body of a probe, in bytes; and of one whose length is not announced.
LARGEST, LARGEST_UNANNOUNCED = 32 * MiB, 1 * MiB
#: How many probes a process answers at once.
AT_ONCE = 8
#: The most that an answer may be delayed, in seconds.
LONGEST = 30.0
#: While an answer is delayed, how often it is checked whether the server stops, in seconds.
POLL_INTERVAL = 0.25
#: Informational responses that can be asked for.
INTERIM = (103, 104)

#: Headers whose values are answered.
TOLD = frozenset(
    [
        "accept",
        "accept-encoding",
        "connection",
        "content-digest",
        "content-disposition",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "idempotency-key",
        "origin",
        "prefer",
        "range",
        "te",
        "tus-resumable",
        "trailer",
        "transfer-encoding",
        "upload-checksum",
        "upload-complete",
        "upload-defer-length",
        "upload-draft-interop-version",
        "upload-incomplete",
        "upload-length",
        "upload-metadata",
        "upload-offset",
        "user-agent",
        "via",
        "x-forwarded-proto",
        "x-http-method-override",
    ]
)

_SECONDS = re.compile(r"\d{1,2}(\.\d{1,3})?")


class Probed(BaseModel):
    """What arrived of a request."""

    bytes: int = Field(description="Of the body.")
    content_length: int | None = Field(description="As it was announced; null: it was not.")
    is_chunked: bool
    first_byte: float | None = Field(
        description="Seconds from the request's head to the first byte of its body."
    )
    last_byte: float | None = Field(description="The same for the last byte.")
    http_version: str
    method: str
    host: str
    headers: dict[str, str | None] = Field(
        description="By name, in lower case; null for values that are not told."
    )
    trailers: dict[str, str | None] | None = Field(
        description="The lines after the body, as in `headers`; null: this server cannot tell."
    )
    interim: list[int] = Field(description="Informational responses that were sent before.")
    version: str


class _Slots:
    """The probes that this process answers now."""

    taken = 0

    @classmethod
    @contextmanager
    def one(cls) -> Iterator[None]:
        """Raises `Overloaded`."""
        if cls.taken >= AT_ONCE:
            raise Overloaded(2)
        cls.taken += 1
        try:
            yield
        finally:
            cls.taken -= 1


@dataclass(frozen=True, slots=True)
class _Wanted:
    """`wait`: seconds before the answer. `drip`: seconds in which it comes, byte by byte."""

    wait: float
    drip: float
    interim: tuple[int, ...]


async def probe(request: Request, caller: Caller, engine: Engine) -> Response:
    wanted = _parse(request)
    length = parse_content_length(request)
    most = LARGEST_UNANNOUNCED if length is None and _is_chunked(request) else LARGEST
    if length is not None and length > most:
        raise TooLarge(most, length, scope="request")
    with _Slots.one():
        expected = length if length is not None else most if _is_chunked(request) else 0
        await engine.count_bytes(caller, expected)
        informing, marked = Informing(request), [(b"x-wherry-probe", b"interim")]
        sent = [status for status in wanted.interim if await informing.send(status, marked)]
        found = await _read(request, length, most, engine.settings.chunk_timeout)
        found.interim = sent
        await _pause(wanted.wait, engine)
    if not wanted.drip or request.method == "HEAD":
        return JsonAnswer(found, headers=NOT_STORED)
    # As a stream of events has it: the answer is to be passed on as it comes.
    headers = {**NOT_STORED, "X-Accel-Buffering": "no"}
    dripped = _drip(found, wanted.drip, engine)
    return StreamingResponse(dripped, media_type="application/json", headers=headers)


def _parse(request: Request) -> _Wanted:
    """Raises `BadRequest`."""
    seconds: dict[str, float] = {}
    for name in ("wait", "drip"):
        text = request.query_params.get(name, "0")
        if not _SECONDS.fullmatch(text) or float(text) > LONGEST:
            raise BadRequest(name, f"must be a number of seconds, and at most {LONGEST:.0f}")
        seconds[name] = float(text)
    texts = list(filter(None, request.query_params.get("interim", "").split(",")))
    if not all(text.isdigit() and int(text) in INTERIM for text in texts):
        raise BadRequest("interim", f"must be of {', '.join(map(str, INTERIM))}")
    return _Wanted(seconds["wait"], seconds["drip"], tuple(map(int, texts)))


def _is_chunked(request: Request) -> bool:
    return "transfer-encoding" in request.headers


async def _read(request: Request, length: int | None, most: int, patience: float) -> Probed:
    """Raises `BodyCut`, `BodyStalled`, `TooLarge`."""
    loop = asyncio.get_running_loop()
    begun, first, last, brought = loop.time(), None, None, 0
    async with AsgiSource(request.receive, length, patience) as source:
        while pieces := await source.read():
            last = loop.time() - begun
            first = last if first is None else first
            brought += sum(map(len, pieces))
            if brought > most:
                raise TooLarge(most, brought, scope="request")
        ended = source.ended
    if ended is Ended.CUT:
        raise BodyCut(0, LARGEST_SIZE if length is None else length)
    if ended is Ended.STALLED:
        raise BodyStalled(0, patience)
    offer = offer_of(request.scope)
    return Probed(
        bytes=brought,
        content_length=length,
        is_chunked=_is_chunked(request),
        first_byte=first,
        last_byte=last,
        http_version=str(request.scope.get("http_version", "")),
        method=request.method,
        host=request.headers.get("host", ""),
        headers=_told(request.headers.raw),
        trailers=None if offer is None else _told(offer.trailers),
        interim=[],
        version=__version__,
    )


def _told(lines: Sequence[tuple[bytes, bytes]]) -> dict[str, str | None]:
    """By name, in lower case; a value only for the names in `TOLD`."""
    texts = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in lines)
    return {name: value if name in TOLD else None for name, value in texts}


async def _pause(seconds: float, engine: Engine) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0 and not engine.is_stopping:  # noqa: ASYNC110 - polls as `events` does
        await asyncio.sleep(min(left, POLL_INTERVAL))


async def _drip(found: Probed, seconds: float, engine: Engine) -> AsyncIterator[str]:
    """Spaces, which JSON may begin with, and then the answer."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    try:
        with _Slots.one():
            while loop.time() < end and not engine.is_stopping:
                yield " "
                await asyncio.sleep(POLL_INTERVAL)
    except Overloaded:
        pass  # the answer has begun, so it is given at once
    yield found.model_dump_json()


def _operation(method: str) -> Operation:
    return Operation(
        method,
        "/probe",
        "probe" if method == "POST" else f"probe_{method.lower()}",
        probe,
        "Ask what arrives of a request; nothing is stored",
        {200: ("What arrived.", Probed)},
        (errors.BadRequest, errors.TooLarge, errors.BodyCut, errors.BodyStalled),
        parameters=(
            query("wait", {"type": "number", "maximum": LONGEST}, "Seconds before the answer."),
            query(
                "drip",
                {"type": "number", "maximum": LONGEST},
                "Seconds in which the answer comes, byte by byte.",
            ),
            query(
                "interim",
                {"type": "string"},
                "Informational responses to send before, separated by commas: 103, 104.",
            ),
        ),
        body=None if method == "GET" else {"required": False, "content": BINARY},
    )


ROUTES = tuple(map(_operation, ("POST", "PUT", "PATCH", "DELETE", "GET")))
