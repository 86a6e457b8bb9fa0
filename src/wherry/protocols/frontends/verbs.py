"""The verbs of Resumable.js, Flow.js and Dropzone."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from wherry.core.ranges import Range
from wherry.core.requests import Caller
from wherry.core.upload import Upload
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED, JsonAnswer
from wherry.protocols.bodies import ANY_FIELD, RequestBody, body_of
from wherry.protocols.frontends.models import (
    Piece,
    is_chunk_of_dropzone,
    parse_dropzone,
    parse_numbered,
    render_answer,
)
from wherry.protocols.frontends.receiving import current, receive_piece, receive_whole
from wherry.protocols.paths import note_arrival
from wherry.protocols.waiting import unhurried


async def test(request: Request, caller: Caller, engine: Engine) -> Response:
    """Whether the server has a chunk. 204 is "no": Flow.js takes 404 for a final error."""
    piece = parse_numbered(request.query_params)
    upload = await current(piece, caller, engine)
    if upload is None or not _has(upload, piece):
        return Response(status_code=204, headers=NOT_STORED)
    return JsonAnswer(render_answer(upload), headers=NOT_STORED)


def _has(upload: Upload, piece: Piece) -> bool:
    """The last chunk comes again until the upload is complete, because it completes it."""
    if upload.is_complete():
        return True
    return not piece.is_last and not upload.received.missing(Range(piece.start, piece.end))


@unhurried
async def chunk(request: Request, caller: Caller, engine: Engine) -> Response:
    async with body_of(
        request, engine.settings.chunk_timeout, ANY_FIELD, is_distant=engine.is_storage_distant
    ) as body:
        piece = parse_numbered(fields_of(request, body), body.form)
        upload = await receive_piece(piece, body, caller, engine)
    note_arrival(request, caller, engine)
    return answer(upload)


@unhurried
async def dropzone(request: Request, caller: Caller, engine: Engine) -> Response:
    async with body_of(
        request, engine.settings.chunk_timeout, ANY_FIELD, is_distant=engine.is_storage_distant
    ) as body:
        fields = fields_of(request, body)
        if body.form is not None and is_chunk_of_dropzone(fields):
            piece = parse_dropzone(fields, body.form)
            upload = await receive_piece(piece, body, caller, engine)
        else:
            upload = await receive_whole(request, body, caller, engine)
    note_arrival(request, caller, engine)
    return answer(upload)


def fields_of(request: Request, body: RequestBody) -> dict[str, str]:
    form = {} if body.form is None else body.form.fields
    return {**request.query_params, **form}


def answer(upload: Upload) -> Response:
    """200; 202 while the application's hooks still run, which Resumable.js asks again after."""
    status = 200 if upload.is_complete() or upload.missing else 202
    return JsonAnswer(render_answer(upload), status, NOT_STORED)
