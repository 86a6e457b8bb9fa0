"""What all protocols parse alike: numbers, identifiers, lengths, headers, small JSON bodies."""

from __future__ import annotations

import asyncio
import json
import re
from contextvars import ContextVar
from email.message import Message as Headers
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request

from wherry.core.errors import (
    BadRequest,
    BodyCut,
    BodyStalled,
    TooLarge,
    UploadNotFound,
)
from wherry.core.limits import LARGEST_SIZE, KiB
from wherry.core.names import as_unicode
from wherry.core.pages import LARGEST_PAGE, PAGE, Cursor, PageRequest

#: The longest header that is parsed, in bytes.
HEADER_LIMIT = 4 * KiB
#: The largest body of JSON or of a few words, in bytes.
JSON_LIMIT = 64 * KiB

#: The upload or assessment that the current request names, for the log; "-" for none.
named: ContextVar[str] = ContextVar("wherry_named", default="-")

_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
M = TypeVar("M", bound=BaseModel)


def parse_number(text: str, field: str) -> int:
    """A number of bytes: digits only, below 2^62. Raises `BadRequest`."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > LARGEST_SIZE:
        raise BadRequest(field, "must be a whole number of bytes, in digits")
    return int(text)


def parse_id(text: str) -> str:
    """An identifier of ours. Raises `UploadNotFound` for a text that cannot be one."""
    if not _ID.fullmatch(text):
        raise UploadNotFound(text[:64])
    named.set(text)
    return text


def parse_page(query: QueryParams) -> PageRequest:
    """Which page of a list is wanted. Raises `BadRequest`."""
    limit = parse_number(query.get("limit", str(PAGE)), "limit")
    if limit == 0:
        raise BadRequest("limit", "must be at least 1")
    if (order := query.get("order", "oldest")) not in ("oldest", "newest"):
        raise BadRequest("order", "must be oldest or newest")
    after = None if "after" not in query else _parse_cursor(query["after"])
    return PageRequest(after, min(limit, LARGEST_PAGE), newest=order == "newest")


def _parse_cursor(text: str) -> Cursor:
    try:
        return Cursor.parse(text)
    except ValueError:
        raise BadRequest("after", "must be the `next` of the page before") from None


def parse_content_length(request: Request) -> int | None:
    """The length of the body in bytes; None if the client does not announce it.

    Raises `BadRequest`, also for a compressed body, of which it is not the length.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise BadRequest("content-encoding", "the body must not be compressed")
    length = request.headers.get("content-length")
    return None if length is None else parse_number(length, "content-length")


def parse_header(name: str, value: str) -> Headers:
    """A header with parameters (RFC 9110, section 5.6.6). Raises `BadRequest`.

    The length is bounded because the parser's time grows with its square, and the numbers of
    continued parameters (RFC 2231) because the parser fails for long ones.
    """
    if len(value) > HEADER_LIMIT or re.search(r"\*\d{4}", value):
        raise BadRequest(name, "is too long or malformed")
    headers = Headers()
    headers[name] = value
    return headers


def media_type(request: Request) -> str:
    """The media type of the body, in lower case and without parameters; empty if there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_filename(disposition: bytes, is_form: bool = False) -> str | None:
    """The file name of a `Content-Disposition`; None if it has none. Raises `BadRequest`.

    `filename*` (RFC 8187) counts where both are given. In a form, `filename` is escaped as
    browsers do it: only a quote, CR and LF, as `%22`, `%0D`, `%0A`
    (https://html.spec.whatwg.org/#multipart-form-data).
    """
    text = disposition.decode("utf-8", "replace")
    headers = parse_header("content-disposition", text)
    plain = None
    found: list[tuple[str, Any]] = headers.get_params([], "content-disposition")
    for key, value in found:
        if key.lower() != "filename":
            continue
        if isinstance(value, tuple):
            if (extended := _parse_extended(*value)) is not None:
                return extended
        elif plain is None:
            plain = value
    if plain is not None and is_form:
        return re.sub("%(22|0[aAdD])", lambda escaped: chr(int(escaped[1], 16)), plain)
    return plain


def _parse_extended(charset: str | None, _: str | None, value: str) -> str | None:
    """None for a charset that RFC 8187 does not have."""
    known = {"utf-8": "utf-8", "iso-8859-1": "latin-1"}.get((charset or "").lower())
    return None if known is None else value.encode("latin-1", "replace").decode(known, "replace")


def raw_header(request: Request, name: str) -> bytes:
    """The bytes of a header's value; empty if there is no such header."""
    return request.headers.get(name, "").encode("latin-1")


async def read_model(request: Request, model: type[M], stall_timeout: float) -> M:
    """A small JSON body, which must arrive within `stall_timeout` seconds.

    Its type must be `application/json`: a page of another site could make a browser send any
    other type with our user's cookies, without a preflight request.

    Raises `BadRequest`, which names the field; `TooLarge`, `BodyCut`, `BodyStalled`.
    """
    if media_type(request) != "application/json":
        raise BadRequest("content-type", "must be application/json")
    return parse_model(await read_small(request, stall_timeout), model)


async def read_small(request: Request, stall_timeout: float) -> bytes:
    """A small body, which must arrive within `stall_timeout` seconds.

    Raises `TooLarge`, `BodyCut`, `BodyStalled`.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(stall_timeout) as late:
            async for piece in request.stream():
                body += piece
                if len(body) > JSON_LIMIT:
                    raise TooLarge(JSON_LIMIT, len(body), scope="request")
    except ClientDisconnect:
        raise BodyCut(0, len(body)) from None
    except TimeoutError:
        if not late.expired():
            raise
        raise BodyStalled(0, stall_timeout) from None
    return bytes(body)


def parse_model(body: bytes, model: type[M]) -> M:
    try:
        value = _as_unicode(json.loads(body))
    except (ValueError, RecursionError):
        raise BadRequest("body", "is not JSON") from None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise BadRequest(field, first["msg"]) from None


def _as_unicode(value: Any) -> Any:
    """JSON texts may have halves of surrogate pairs, which no database or file takes."""
    if isinstance(value, str):
        return as_unicode(value)
    if isinstance(value, list):
        return [_as_unicode(each) for each in value]
    if isinstance(value, dict):
        return {as_unicode(key): _as_unicode(each) for key, each in value.items()}
    return value
