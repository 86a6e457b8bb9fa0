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
from wherry.protocols.bodies import AsgiBody
from wherry.protocols.formbody import FormBody
from wherry.protocols.parsing import media_type, parse_content_length, parse_filename, raw_header


async def upload(request: Request, caller: Caller, engine: Engine) -> Response:
    content_type = request.headers.get("content-type", "")
    length, timeout = parse_content_length(request), engine.settings.chunk_timeout
    fingerprint = parse_fingerprint(request.query_params.get("fingerprint"))
    if media_type(request) == "multipart/form-data":
        async with FormBody(request.receive, length, timeout, content_type, "file") as form:
            metadata = await form.fields()
            create = Create(
                form.named(),
                length=None,
                at_most=reckoned(form.remaining, engine.settings.max_size),
                content_type=form.file_type,
                fingerprint=fingerprint,
                metadata=metadata,
            )
            done = await engine.receive(caller, create, form)
    else:
        name = parse_disposition(raw_header(request, "content-disposition"))
        async with AsgiBody(request.receive, length, timeout) as body:
            create = Create(
                name, length, content_type=content_type or None, fingerprint=fingerprint
            )
            done = await engine.receive(caller, create, body)
    return JSONResponse(render_upload(done), 200 if done.is_complete() else 202)


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
