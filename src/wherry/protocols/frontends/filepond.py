"""The verbs of FilePond: https://pqina.nl/filepond/docs/api/server/

A chunked upload begins with a POST, whose answer is the id. The name of the file comes with the
chunks (PATCH), so the upload is created with the first of them, under that id.

Rule 1: FilePond takes every chunk for complete that begins before the offset which it is told
(HEAD). So that is where a chunk begins, and not the first chunk that lacks a byte; the last
chunk is never among them before the upload is complete.
"""

from __future__ import annotations

from contextlib import suppress

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from wherry.core.errors import (
    BadRequest,
    NotForGuests,
    RangeOutside,
    TooLarge,
    UploadClosed,
    UploadNotFound,
)
from wherry.core.requests import Caller, Create
from wherry.core.upload import Upload
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED
from wherry.protocols.bodies import ANY_FIELD, body_of
from wherry.protocols.frontends.receiving import check_size, receive, receive_whole
from wherry.protocols.frontends.verbs import answer
from wherry.protocols.parsing import parse_id, parse_number, raw_header, read_small
from wherry.protocols.paths import note_arrival
from wherry.protocols.waiting import unhurried

#: The metadata of an upload that has the size of FilePond's chunks, in bytes.
CHUNK_SIZE = "filepond_chunk_size"


@unhurried
async def process(request: Request, caller: Caller, engine: Engine) -> Response:
    """Begin an upload in chunks, or take a whole file. The answer is the upload's id, as text."""
    if "upload-length" in request.headers:
        length = _parse_length(request)
        most = caller.max_size(engine.settings.max_size)
        if most is not None and length > most:  # the first chunk would be refused
            raise TooLarge(most, length)
        return PlainTextResponse(engine.new_id(), headers=NOT_STORED)
    async with body_of(
        request, engine.settings.chunk_timeout, ANY_FIELD, is_distant=engine.is_storage_distant
    ) as body:
        upload = await receive_whole(request, body, caller, engine)
    note_arrival(request, caller, engine)
    status = 200 if upload.is_complete() else 202
    return PlainTextResponse(upload.id, status, headers=NOT_STORED)


@unhurried
async def patch(request: Request, caller: Caller, engine: Engine) -> Response:
    """Take a chunk; the answer to the one that completes the upload has the assessment."""
    upload_id, length = _parse_transfer(request), _parse_length(request)
    at = parse_number(request.headers.get("upload-offset", ""), "upload-offset")
    if at > length:
        raise RangeOutside(at, at + 1, length)
    async with body_of(
        request, engine.settings.chunk_timeout, is_distant=engine.is_storage_distant
    ) as body:
        if not body.is_announced:
            await body.bound(length - at, RangeOutside(at, length + 1, length))
        if at == 0:
            create = _parse_create(request, length, body.remaining)
            check_size(0, body.remaining, length, engine)
            upload, _ = await engine.create(caller, create, upload_id)
        else:  # without the first chunk, there is nothing to go on with
            upload = await engine.status(caller, upload_id)
        if upload.length != length:
            raise BadRequest("upload-length", "is another one than before")
        upload = await receive(upload, at, body, caller, engine)
    note_arrival(request, caller, engine)
    return answer(upload)


async def head(request: Request, caller: Caller, engine: Engine) -> Response:
    """Where to go on. An id of which no chunk has come yet begins at 0."""
    at = 0
    with suppress(UploadNotFound):
        upload = await engine.status(caller, _parse_transfer(request))
        upload.check_exists()
        at = resume_at(upload)
    return Response(headers={"Upload-Offset": str(at), **NOT_STORED})


def resume_at(upload: Upload) -> int:
    """The first byte of the first chunk that has to come (again)."""
    length, said = upload.length or 0, upload.metadata.get(CHUNK_SIZE, "")
    # An upload that began in another protocol has no such metadata, or what its client likes.
    size = int(said) if said.isdecimal() and len(said) < 20 else 0
    if upload.is_complete():
        return length
    return min(upload.offset, max(length - 1, 0)) // size * size if size else 0


@unhurried
async def revert(request: Request, caller: Caller, engine: Engine) -> Response:
    """Cancel the upload, or delete its finished file. The same if there is no such upload."""
    text = (await read_small(request, engine.settings.chunk_timeout)).decode("utf-8", "replace")
    with suppress(UploadNotFound):
        upload_id = parse_id(text.strip())
        try:
            await engine.cancel(caller, upload_id)
        except UploadClosed:
            if caller.ticket is not None:
                raise NotForGuests from None
            await engine.discard(caller, upload_id)
    return Response(status_code=204)


def _parse_transfer(request: Request) -> str:
    return parse_id(request.query_params.get("patch", ""))


def _parse_length(request: Request) -> int:
    return parse_number(request.headers.get("upload-length", ""), "upload-length")


def _parse_create(request: Request, length: int, size: int) -> Create:
    """The upload whose first chunk has `size` bytes."""
    name = raw_header(request, "upload-name").decode("utf-8", "replace")
    return Create(name, length, chunk_size=size or None, metadata={CHUNK_SIZE: str(size)})
