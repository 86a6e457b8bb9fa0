"""What a request says about the path that it came by: its host, its length, a refusal before it.

Rule 1: what a client says here is a hint. A value that cannot be one is ignored, and its request is
answered as without it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from starlette.requests import Request

from wherry.core.limits import LARGEST_SIZE
from wherry.core.paths import PathLimits, parse_host, parse_refused_by
from wherry.core.requests import Caller
from wherry.engine import Engine

#: The parameters of a query that report a refusal; in JSON, fields have the same names.
REFUSED, REFUSED_BY = "refused", "refused_by"

#: A prefix that can be printed as a part of a command.
_PREFIX = re.compile(r"[A-Za-z0-9._~/-]{0,100}")

_parsed = lru_cache(maxsize=256)(parse_host)


def note_arrival(request: Request, caller: Caller, engine: Engine) -> None:
    """The body of this request has arrived. Its query may report that a larger one was refused.

    A body of unknown length shows nothing.
    """
    if (host := _host_of(request)) is None:
        return
    length = _parse_size(request.headers.get("content-length", ""))
    query = request.query_params
    if REFUSED in query:
        refused, by = _parse_size(query[REFUSED]), query.get(REFUSED_BY)
        note_refused(request, caller, engine, refused, by, passed=length)
    engine.paths.passed(caller, host, length)


def note_refused(
    request: Request,
    caller: Caller,
    engine: Engine,
    size: int,
    refused_by: str | None,
    *,
    passed: int = 0,
) -> None:
    """The client says that a body of `size` bytes was refused on the way.

    `passed`: the length of the body of this request; 0 if that is always small.
    """
    if (host := _host_of(request)) is not None:
        by = parse_refused_by(refused_by or "") or ""
        address = _address_of(request, host)
        engine.paths.refused(caller, host, size, by=by, passed=passed, address=address)


def path_limits(request: Request, caller: Caller, engine: Engine) -> PathLimits | None:
    """What is known of the path that this request came by; None: nothing."""
    host = _host_of(request)
    return None if host is None else engine.paths.limits(caller, host)


def _host_of(request: Request) -> str | None:
    return _parsed(request.headers.get("host", ""))


def _parse_size(text: str) -> int:
    """0 for a text that is no number of bytes."""
    is_number = text.isascii() and text.isdigit() and len(text) <= 19
    return int(text) if is_number and int(text) <= LARGEST_SIZE else 0


def _address_of(request: Request, host: str) -> str:
    """The address of the API, as a client reaches it; empty if it is not certain."""
    scheme = _scheme_of(request, host)
    prefix = request.url.path.partition("/chunked-upload")[0]
    return f"{scheme}://{host}{prefix}" if scheme and _PREFIX.fullmatch(prefix) else ""


def _scheme_of(request: Request, host: str) -> str | None:
    """`http` or `https`, between the client and the first proxy.

    A report is about a proxy, so a request that arrives here without TLS says nothing of that.
    """
    named = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    if named in ("http", "https"):
        return named
    scheme, _, origin = request.headers.get("origin", "").partition("://")
    if scheme in ("http", "https") and origin == host:
        return scheme
    return "https" if request.url.scheme == "https" else None
