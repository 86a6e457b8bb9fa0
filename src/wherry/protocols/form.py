"""The ordinary upload: one request brings one whole file.

`multipart/form-data` with the file in the field `file`, or the raw bytes with
the name in `Content-Disposition` (RFC 6266).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from wherry.core.errors import BadRequest
from wherry.core.names import LONGEST_TEXT
from wherry.core.requests import Caller, Create
from wherry.core.upload import Upload
from wherry.engine import Engine
from wherry.protocols.bodies import RequestBody, body_of
from wherry.protocols.parsing import parse_filename, raw_header


async def upload(request: Request, caller: Caller, engine: Engine) -> Response:
    async with body_of(request, engine.settings.chunk_timeout, "file") as body:
        create = parse_upload(request, body, engine.settings.max_size)
        done = await engine.receive(caller, create, body)
    return JSONResponse(render_upload(done), 200 if done.is_complete() else 202)


def parse_upload(request: Request, body: RequestBody, max_size: int | None) -> Create:
    """What the request says of its file. Raises `BadRequest`."""
    fingerprint = parse_fingerprint(request.query_params.get("fingerprint"))
    if body.form is None:
        return Create(
            parse_disposition(raw_header(request, "content-disposition")),
            body.remaining,
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


def reckoned(length: int, max_size: int | None) -> int:
    """What a form's file has at most: two bytes more, where its end lacks a line break."""
    return length + 2 if max_size is None else max(length, min(length + 2, max_size))


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


def render_upload(upload: Upload) -> dict[str, str | int | None]:
    return {
        "upload_id": upload.id,
        "assessment_id": upload.assessment_id,
        "state": upload.state.value,
        "size": upload.received.size,
    }
