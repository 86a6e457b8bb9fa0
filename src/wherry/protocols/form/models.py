"""What an ordinary upload says of its file, and what it is answered."""

from __future__ import annotations

from typing import Any

import http_sf
from starlette.requests import Request

from wherry.core.errors import BadRequest
from wherry.core.names import LONGEST_TEXT
from wherry.core.requests import Create
from wherry.protocols.bodies import RequestBody
from wherry.protocols.parsing import parse_filename, raw_header
from wherry.protocols.whole import reckoned

#: The longest idempotency key, in characters.
LONGEST_KEY = 255


def parse_upload(request: Request, body: RequestBody, max_size: int | None) -> Create:
    """The upload that the request and its form ask for. Raises `BadRequest`."""
    fingerprint = parse_fingerprint(request.query_params.get("fingerprint"))
    if body.form is None:
        return Create(
            parse_disposition(raw_header(request, "content-disposition")),
            length=body.remaining if body.is_announced else None,
            at_most=body.remaining,
            content_type=request.headers.get("content-type") or None,
            fingerprint=fingerprint,
        )
    if not body.form.filename:
        raise BadRequest("filename", "is missing")
    return Create(
        body.form.filename,
        length=None,
        at_most=reckoned(body.remaining, max_size),
        content_type=body.form.content_type,
        fingerprint=fingerprint,
        metadata=body.form.fields,
    )


def parse_key(request: Request) -> str | None:
    """The request's `Idempotency-Key`, a String of RFC 9651. Raises `BadRequest`.

    https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07
    """
    fields = request.headers.getlist("idempotency-key")
    if not fields:
        return None
    try:
        item: Any = http_sf.parse(", ".join(fields).encode("ascii"), tltype="item")
        key = item[0]
    except ValueError:
        key = None
    # Tokens are strings, too, as a class.
    if type(key) is not str or not 0 < len(key) <= LONGEST_KEY:
        problem = f'must be a string of 1 to {LONGEST_KEY} characters in quotes, like "8e03978e"'
        raise BadRequest("idempotency-key", problem)
    return key


def parse_fingerprint(text: str | None) -> str | None:
    if text is not None and not 0 < len(text) <= LONGEST_TEXT:
        raise BadRequest("fingerprint", f"must be text of at most {LONGEST_TEXT} characters")
    return text


def parse_disposition(header: bytes) -> str:
    """The file name of a request's `Content-Disposition`. Raises `BadRequest`."""
    name = parse_filename(header) if header else None
    if not name:
        raise BadRequest("content-disposition", 'must name the file: attachment; filename="a.mp4"')
    return name
