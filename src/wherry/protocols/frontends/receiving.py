"""Chunks of other front ends on their way into the engine.

Rule 1: a front end has succeeded when each of its chunks was answered with success, and nobody
asks it for a chunk again. So a chunk is never taken into an upload that lacks chunks which an
earlier one has had: when the upload of a file has ended, only the first chunk begins another one.

Rule 2: whoever brings the last missing byte completes the upload, and so does any chunk that comes
again after that.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from wherry.core.errors import BadRequest, Queued, UploadClosed
from wherry.core.ranges import Range
from wherry.core.requests import Caller, Create, Write
from wherry.core.upload import ACCEPTS, UNFINISHED, Upload
from wherry.engine import Engine
from wherry.protocols.bodies import RequestBody
from wherry.protocols.frontends.models import Piece
from wherry.protocols.waiting import POLL_INTERVAL, is_over, latest, until_admitted
from wherry.protocols.whole import largest_file, reckoned

#: How long a chunk that comes again finds the complete upload of its file, in seconds. After that,
#: the first chunk begins a new one: somebody sends a file of the same name again.
REPEATED_FOR = 600.0


async def current(piece: Piece, caller: Caller, engine: Engine) -> Upload | None:
    """The upload that the chunk belongs to; None: there is none, or it has ended."""
    known = await _known(piece, caller, engine)
    return next((upload for upload in known if _is_current(upload, engine)), None)


async def receive_piece(piece: Piece, body: RequestBody, caller: Caller, engine: Engine) -> Upload:
    """The upload with the chunk recorded, complete if it is whole.

    Raises as `Engine.create`, `write` and `complete` do.
    """
    wanted = piece.end - piece.start
    if not body.is_announced:
        await body.bound(wanted, BadRequest("chunk", "has more bytes than it says"))
    elif not wanted <= body.remaining <= reckoned(wanted, None):
        raise BadRequest("chunk", "has another number of bytes than it says")
    upload = await _upload_of(piece, caller, engine)
    upload = await receive(upload, piece.start, body, caller, engine)
    if wanted and upload.received.missing(Range(piece.start, piece.end)):
        raise BadRequest("chunk", "has fewer bytes than it says")
    return upload


async def _upload_of(piece: Piece, caller: Caller, engine: Engine) -> Upload:
    """The upload of the chunk, which may be the first one of it.

    Chunks that are sent at the same moment arrive in any order. So one that is not the first waits
    for the first one where the last upload has ended. Raises `UploadGone`, `UploadClosed`.
    """
    end = latest(engine)
    while True:
        known = await _known(piece, caller, engine)
        for upload in known:
            if _is_current(upload, engine):
                return upload
        if piece.is_first or not known:
            check_size(piece.start, piece.end, piece.total, engine)
            return (await engine.create(caller, piece.create()))[0]
        if is_over(end, engine):
            known[0].check_receiving()
        await asyncio.sleep(POLL_INTERVAL)


def check_size(start: int, end: int, total: int, engine: Engine) -> None:
    """Raises `TooLarge`, `ChunkTooSmall`, so that no upload is begun whose chunks are refused."""
    if start < end:
        engine.settings.limits.check_chunk(Range(start, end), total)


async def _known(piece: Piece, caller: Caller, engine: Engine) -> list[Upload]:
    found = await engine.alike(caller, piece.name)
    return [upload for upload in found if upload.length == piece.total]


def _is_current(upload: Upload, engine: Engine) -> bool:
    if upload.is_complete() and upload.completed_at is not None:
        return engine.date - upload.completed_at < REPEATED_FOR
    return upload.state in UNFINISHED


async def receive(
    upload: Upload, at: int, body: RequestBody, caller: Caller, engine: Engine
) -> Upload:
    """The upload with the body recorded from `at` on, complete if it is whole."""
    upload.check_exists()
    if upload.state in ACCEPTS and body.remaining:
        try:
            upload = await _written(upload, at, body, caller, engine)
        except UploadClosed:  # another chunk was the last one meanwhile
            upload = await engine.status(caller, upload.id)
    if upload.missing or upload.is_complete():
        return upload
    return await engine.complete(caller, upload.id)


async def _written(
    upload: Upload, at: int, body: RequestBody, caller: Caller, engine: Engine
) -> Upload:
    """Write, as soon as the upload has left the queue: these front ends cannot wait in it.

    Raises `Queued` if that takes too long.
    """
    end, write = latest(engine), Write(upload.id, at)
    await until_admitted(upload, caller, engine, end)
    try:
        return await engine.write(caller, write, body)
    except Queued:  # no byte was read; it had lost its slot, and is in the queue now
        await until_admitted(await engine.status(caller, upload.id), caller, engine, end)
        return await engine.write(caller, write, body)


async def receive_whole(
    request: Request, body: RequestBody, caller: Caller, engine: Engine
) -> Upload:
    """The complete upload of the one file that a form brings. Raises as `Engine.receive` does."""
    if body.form is None or not body.form.filename:
        raise BadRequest("form", "has no file with a name; only multipart/form-data is taken here")
    if not body.is_announced:
        await body.bound(*largest_file(request, caller, engine))
    create = Create(
        body.form.filename,
        length=None,
        at_most=reckoned(body.remaining, caller.max_size(engine.settings.max_size)),
        content_type=body.form.content_type,
        # FilePond sends the metadata of a file, which it mostly has not.
        metadata={name: value for name, value in body.form.fields.items() if value != "{}"},
    )
    return await engine.receive(caller, create, body)
