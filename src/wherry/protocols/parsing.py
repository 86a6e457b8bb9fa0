"""What all dialects parse alike: numbers, identifiers, lengths, small JSON bodies."""

from __future__ import annotations

import json
import re
from contextvars import ContextVar
from email.message import Message as Headers
from typing import Any, TypeVar

import anyio
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from wherry.core.errors import (
    BadRequest,
    BodyCut,
    BodyStalled,
    LengthRequired,
    TooLarge,
    UploadNotFound,
)
from wherry.core.limits import LARGEST, KiB
from wherry.core.names import as_unicode

#: The longest header that is taken apart, in bytes.
HEADER_LIMIT = 4 * KiB
#: The largest JSON body, in bytes.
JSON_LIMIT = 64 * KiB

#: What the current request named, for the log; "-" while nothing.
named: ContextVar[str] = ContextVar("wherry_named", default="-")

_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
M = TypeVar("M", bound=BaseModel)


def parse_number(text: str, field: str) -> int:
    """A number of bytes: digits only, below 2^62. Raises `BadRequest`."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > LARGEST:
        raise BadRequest(field, "must be a whole number of bytes, in digits")
    return int(text)


def parse_id(text: str) -> str:
    """An identifier of ours. Raises `UploadNotFound` for what cannot be one."""
    if not _ID.fullmatch(text):
        raise UploadNotFound(text[:64])
    named.set(text)
    return text


def parse_content_length(request: Request) -> int:
    """Raises `LengthRequired`, `BadRequest`; also for a coded body, whose length it is not."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise BadRequest("content-encoding", "bytes must come as they are, uncompressed")
    length = request.headers.get("content-length")
    if length is None:
        raise LengthRequired
    return parse_number(length, "content-length")


def parse_header(name: str, value: str) -> Headers:
    """A header with parameters, to ask for them (RFC 9110, section 5.6.6). Raises `BadRequest`.

    The parser takes time that grows with the square of the length, and stumbles over
    parameters with long numbers, as RFC 2231 continues them; so both are bounded.
    """
    if len(value) > HEADER_LIMIT or re.search(r"\*\d{4}", value):
        raise BadRequest(name, "is too long or malformed")
    headers = Headers()
    headers[name] = value
    return headers


def media_type(request: Request) -> str:
    """What the body is, in lower case and without parameters; empty if it is not said."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_filename(disposition: bytes, is_form: bool = False) -> str | None:
    """The file name of a `Content-Disposition`; None if it has none. Raises `BadRequest`.

    `filename*` (RFC 8187) is the better one where both are given. In a form, `filename` is
    escaped as browsers do it: only a quote, CR and LF, as `%22`, `%0D`, `%0A`
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
    """None where it is written in a charset that RFC 8187 does not have."""
    known = {"utf-8": "utf-8", "iso-8859-1": "latin-1"}.get((charset or "").lower())
    return None if known is None else value.encode("latin-1", "replace").decode(known, "replace")


def raw_header(request: Request, name: str) -> bytes:
    """A header's value as it was sent; empty if it was not."""
    return request.headers.get(name, "").encode("latin-1")


async def read_model(request: Request, model: type[M], patience: float) -> M:
    """A small JSON body. Raises `BadRequest`, naming the field; `TooLarge`; `BodyStalled`.

    It must be called JSON: a page of another site can send anything else with our
    user's cookies, without being asked who it is.
    """
    if media_type(request) != "application/json":
        raise BadRequest("content-type", "must be application/json")
    body = bytearray()
    try:
        with anyio.move_on_after(patience) as late:
            async for piece in request.stream():
                body += piece
                if len(body) > JSON_LIMIT:
                    raise TooLarge(JSON_LIMIT, len(body), scope="JSON body")
    except ClientDisconnect:
        raise BodyCut(0, len(body)) from None
    if late.cancelled_caught:
        raise BodyStalled(0, patience)
    return parse_model(bytes(body), model)


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
    """JSON may have halves of surrogate pairs in its texts; nothing that keeps them takes them."""
    if isinstance(value, str):
        return as_unicode(value)
    if isinstance(value, list):
        return [_as_unicode(each) for each in value]
    if isinstance(value, dict):
        return {as_unicode(key): _as_unicode(each) for key, each in value.items()}
    return value
