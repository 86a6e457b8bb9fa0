"""The verbs of the chunked API.

Each is a coroutine of three steps: parse the request into what the engine understands, let the
engine do it, render what it says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from wherry.core.errors import BadRequest, NotForGuests
from wherry.core.pages import Page
from wherry.core.requests import Caller, Write
from wherry.core.upload import GONE, State, Upload
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED, JsonAnswer
from wherry.protocols.bodies import Form, RequestBody, body_of
from wherry.protocols.bodylimit import largest_chunk
from wherry.protocols.chunked.chunks import (
    Chunk,
    chunk_from,
    chunk_range,
    more_than,
    parse_chunk,
)
from wherry.protocols.chunked.models import (
    Cancelled,
    CancelRequest,
    CompleteRequest,
    DirectRequest,
    InitRequest,
    ReportRequest,
    parse_direct,
    parse_init,
    parse_page_request,
    render_addresses,
    render_complete,
    render_init,
    render_received,
    render_status,
    render_storage,
)
from wherry.protocols.chunked.operators import render_upload
from wherry.protocols.digests import parse_file_digest
from wherry.protocols.parsing import parse_id, read_model
from wherry.protocols.paths import note_arrival, note_refused, path_limits

#: The field of a form that has a chunk's bytes.
FILE_FIELD = "chunk"
#: A stream of events ends after this time, in seconds; the client opens the next.
EVENTS_END = 25.0
#: How often the status is looked up for a stream of events, in seconds.
POLL_INTERVAL = 0.5
#: How many uploads of a list are rendered before other requests get the event loop.
RENDERED_AT_ONCE = 20


async def init(request: Request, caller: Caller, engine: Engine) -> Response:
    wanted = await read_model(request, InitRequest, engine.settings.chunk_timeout)
    create = replace(parse_init(wanted), largest_chunk=largest_chunk(request.scope))
    upload, is_new = await engine.create(caller, create)
    upload, position = await engine.with_position(upload)
    if wanted.refused is not None:
        note_refused(request, caller, engine, wanted.refused, wanted.refused_by)
    path = path_limits(request, caller, engine)
    most, is_direct = caller.max_size(engine.settings.max_size), wanted.direct
    begun = render_init(upload, position, engine, create, path, max_size=most, is_direct=is_direct)
    if upload.state is State.WAITING:
        return JsonAnswer(begun, 202, {"Retry-After": str(begun.retry_after)})
    return JsonAnswer(begun, 201 if is_new else 200)


async def chunk(request: Request, caller: Caller, engine: Engine) -> Response:
    async with body_of(
        request, engine.settings.chunk_timeout, FILE_FIELD, is_distant=engine.is_storage_distant
    ) as body:
        wanted = read_chunk(request, body.form)
        write = await _resolve(wanted, body, caller, engine)
        upload = await engine.write(caller, write, body)
    note_arrival(request, caller, engine)
    return JsonAnswer(render_received(upload))


def read_chunk(request: Request, form: Form | None) -> Chunk:
    """Where the bytes belong, as the query says, or the fields of a form. Raises `BadRequest`."""
    digest = request.headers.get("content-digest")
    if form is None:
        return parse_chunk(request.query_params, digest)
    fields = {**request.query_params, **form.fields}
    return parse_chunk(fields, digest or fields.get("digest"))


async def _resolve(chunk: Chunk, body: RequestBody, caller: Caller, engine: Engine) -> Write:
    """The chunk as bytes from an offset on; a number means times the upload's `chunk_size`.

    A chunk of unknown length has at most that size. With a higher bound, chunks that are sent at
    the same time would appear to overlap, and end each other.
    """
    if body.is_announced and not chunk.is_numbered:
        return Write(chunk.upload_id, chunk.at, chunk.digest)
    upload = await engine.status(caller, chunk.upload_id)
    within = (chunk_range if chunk.is_numbered else chunk_from)(upload, chunk.at)
    if not body.is_announced:
        await body.bound(len(within), more_than(within, upload))
    elif body.remaining > len(within):
        raise BadRequest("chunk_index", "the request brings more bytes than that chunk has")
    return Write(chunk.upload_id, within.start, chunk.digest)


async def direct(request: Request, caller: Caller, engine: Engine) -> Response:
    wanted = await read_model(request, DirectRequest, engine.settings.chunk_timeout)
    crcs = parse_direct(wanted)
    found = await engine.addresses(caller, parse_id(wanted.upload_id), crcs)
    return JsonAnswer(render_addresses(*found), headers=NOT_STORED)


async def direct_received(request: Request, caller: Caller, engine: Engine) -> Response:
    wanted = await read_model(request, ReportRequest, engine.settings.chunk_timeout)
    upload = await engine.report(caller, parse_id(wanted.upload_id), wanted.parts)
    return JsonAnswer(render_received(upload))


async def complete(request: Request, caller: Caller, engine: Engine) -> Response:
    wanted = await read_model(request, CompleteRequest, engine.settings.chunk_timeout)
    digest = parse_file_digest(wanted.digest) if wanted.digest else None
    upload = await engine.complete(caller, parse_id(wanted.upload_id), digest)
    return JsonAnswer(render_complete(upload), 200 if upload.is_complete() else 202)


async def cancel(request: Request, caller: Caller, engine: Engine) -> Response:
    wanted = await read_model(request, CancelRequest, engine.settings.chunk_timeout)
    upload = await engine.cancel(caller, parse_id(wanted.upload_id))
    return JsonAnswer(Cancelled(upload_id=upload.id, state=upload.state))


async def delete(request: Request, caller: Caller, engine: Engine) -> Response:
    await engine.cancel(caller, parse_id(request.path_params["upload_id"]))
    return Response(status_code=204)


async def status(request: Request, caller: Caller, engine: Engine) -> Response:
    upload = await engine.status(caller, parse_id(request.path_params["upload_id"]))
    upload, position = await engine.with_position(upload)
    found = render_status(upload, position, engine, path_limits(request, caller, engine))
    return JsonAnswer(found, headers=NOT_STORED)


async def events(request: Request, caller: Caller, engine: Engine) -> Response:
    upload = await engine.status(caller, parse_id(request.path_params["upload_id"]))
    kind, headers = "text/event-stream", {**NOT_STORED, "X-Accel-Buffering": "no"}
    if request.method == "HEAD":  # without content there is nothing to wait for
        return Response(media_type=kind, headers=headers)
    return StreamingResponse(_changes(upload, caller, engine), media_type=kind, headers=headers)


async def _changes(upload: Upload, caller: Caller, engine: Engine) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    end, last = loop.time() + EVENTS_END, ""
    while loop.time() < end and not engine.is_stopping:
        upload, position = await engine.with_position(upload)
        now = json.dumps(render_status(upload, position, engine).model_dump(mode="json"))
        if now != last:
            yield f"event: status\ndata: {now}\n\n"
            last = now
        if upload.state in GONE or upload.is_complete():
            return
        await asyncio.sleep(POLL_INTERVAL)
        upload = await engine.status(caller, upload.id)


async def list_own(request: Request, caller: Caller, engine: Engine) -> Response:
    if (fingerprint := request.query_params.get("fingerprint")) is not None:
        return await _list(Page(await engine.alike(caller, fingerprint)), engine)
    # Several people may have the same ticket. One of them may go on with a file, but not see what
    # the others send.
    if caller.ticket is not None:
        raise NotForGuests
    states, wanted = parse_page_request(request.query_params)
    return await _list(await engine.uploads(caller, states, wanted), engine)


async def list_all(request: Request, caller: Caller, engine: Engine) -> Response:
    states, wanted = parse_page_request(request.query_params)
    page = await engine.uploads(caller, states, wanted, everybody=True)
    return await _list(page, engine, render_upload)


async def _list(
    page: Page[Upload],
    engine: Engine,
    render: Callable[[Upload, int | None, Engine], BaseModel] = render_status,
) -> Response:
    """A page, rendered piece by piece, so that a long one holds up no chunk."""
    positions = await engine.positions(page)
    texts = []
    for upload in page:
        found = render(upload, positions.get(upload.id), engine)
        texts.append(found.model_dump_json())
        if len(texts) % RENDERED_AT_ONCE == 0:
            await asyncio.sleep(0)
    following = json.dumps(None if page.next is None else str(page.next))
    text = f'{{"uploads":[{",".join(texts)}],"next":{following}}}'
    return Response(text, media_type="application/json", headers=NOT_STORED)


async def storage(request: Request, caller: Caller, engine: Engine) -> Response:
    return JsonAnswer(render_storage(await engine.storage(caller)), headers=NOT_STORED)
