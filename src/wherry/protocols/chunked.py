"""The chunked API: many small requests bring one file (docs/reference/chunked-api.md).

Each verb is a coroutine of three steps: parse the request into what the engine
understands, let the engine do it, render what it says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from wherry.core.admission import ask_again
from wherry.core.errors import BadRequest
from wherry.core.limits import LARGEST
from wherry.core.names import LONGEST_TEXT, MOST_METADATA
from wherry.core.pages import LARGEST_PAGE, PAGE, Cursor, Page, PageRequest
from wherry.core.requests import Caller, Create, Write
from wherry.core.upload import GONE, UNFINISHED, State, Upload
from wherry.engine import Engine, StorageFacts
from wherry.protocols.bodies import body_of
from wherry.protocols.bodylimit import most_chunk
from wherry.protocols.digests import parse_digest, parse_file_digest
from wherry.protocols.parsing import parse_id, parse_number, read_model

#: A stream of events ends after this time, in seconds; the client opens the next.
EVENTS_END = 25.0
EVENTS_EVERY = 0.5
#: How many uploads of a list are made into text before somebody else has a turn.
RENDERED_AT_ONCE = 20

Short = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]


class InitRequest(BaseModel):
    """What `init` takes. Sizes in bytes."""

    model_config = ConfigDict(strict=True, extra="ignore")

    filename: str = Field(
        description="A bare name of at most 255 characters, as UTF-16 counts them.",
        examples=["talk.mp4"],
    )
    size: int = Field(ge=0, le=LARGEST, examples=[524288000])
    content_type: Short | None = None
    chunk_size: int | None = Field(
        None, ge=1, le=LARGEST, description="What the client would like."
    )
    fingerprint: Short | None = Field(
        None, description="The same for the same file: finds the open upload of it again."
    )
    digest: Short | None = Field(
        None, description="The whole file's, `crc64nvme=:base64:` (RFC 9530)."
    )
    metadata: dict[Short, Short] = Field(default_factory=dict, max_length=MOST_METADATA)


class CompleteRequest(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    upload_id: str
    digest: Short | None = Field(
        None, description="The whole file's, `crc64nvme=:base64:` (RFC 9530)."
    )


class CancelRequest(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    upload_id: str


async def init(request: Request, caller: Caller, engine: Engine) -> Response:
    wanted = await read_model(request, InitRequest, engine.settings.chunk_timeout)
    create = replace(parse_init(wanted), most_chunk=most_chunk(request.scope))
    upload, is_new = await engine.create(caller, create)
    upload, position = await engine.with_position(upload)
    content = render_init(upload, position, engine, create.most_chunk)
    if upload.state is State.WAITING:
        return JSONResponse(content, 202, {"Retry-After": str(content["retry_after"])})
    return JSONResponse(content, 201 if is_new else 200)


async def chunk(request: Request, caller: Caller, engine: Engine) -> Response:
    async with body_of(request, engine.settings.chunk_timeout, "chunk") as body:
        fields = dict(request.query_params)
        digest = request.headers.get("content-digest")
        if body.form is not None:
            fields |= body.form.fields
            digest = digest or fields.get("digest")
        upload = await engine.write(caller, parse_chunk(fields, digest), body)
    return JSONResponse(render_received(upload))


async def complete(request: Request, caller: Caller, engine: Engine) -> Response:
    wanted = await read_model(request, CompleteRequest, engine.settings.chunk_timeout)
    digest = parse_file_digest(wanted.digest) if wanted.digest else None
    upload = await engine.complete(caller, parse_id(wanted.upload_id), digest)
    return JSONResponse(render_complete(upload), 200 if upload.is_complete() else 202)


async def cancel(request: Request, caller: Caller, engine: Engine) -> Response:
    wanted = await read_model(request, CancelRequest, engine.settings.chunk_timeout)
    upload = await engine.cancel(caller, parse_id(wanted.upload_id))
    return JSONResponse({"upload_id": upload.id, "state": upload.state.value})


async def delete(request: Request, caller: Caller, engine: Engine) -> Response:
    await engine.cancel(caller, parse_id(request.path_params["upload_id"]))
    return Response(status_code=204)


async def status(request: Request, caller: Caller, engine: Engine) -> Response:
    upload = await engine.status(caller, parse_id(request.path_params["upload_id"]))
    content = render_status(*await engine.with_position(upload), engine)
    return JSONResponse(content, headers={"Cache-Control": "no-store"})


async def events(request: Request, caller: Caller, engine: Engine) -> Response:
    upload = await engine.status(caller, parse_id(request.path_params["upload_id"]))
    kind, headers = "text/event-stream", {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if request.method == "HEAD":  # it would wait for nothing
        return Response(media_type=kind, headers=headers)
    return StreamingResponse(_changes(upload, caller, engine), media_type=kind, headers=headers)


async def _changes(upload: Upload, caller: Caller, engine: Engine) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    end, said = loop.time() + EVENTS_END, ""
    while loop.time() < end and not engine.is_stopping:
        upload, position = await engine.with_position(upload)
        now = json.dumps(render_status(upload, position, engine))
        if now != said:
            yield f"event: status\ndata: {now}\n\n"
            said = now
        if upload.state in GONE or upload.is_complete():
            return
        await asyncio.sleep(EVENTS_EVERY)
        upload = await engine.status(caller, upload.id)


async def listing(request: Request, caller: Caller, engine: Engine) -> Response:
    if (fingerprint := request.query_params.get("fingerprint")) is not None:
        return await _list(Page(await engine.alike(caller, fingerprint)), engine)
    states, page = parse_page_request(request.query_params)
    return await _list(await engine.uploads(caller, states, page), engine)


async def everybodys(request: Request, caller: Caller, engine: Engine) -> Response:
    states, page = parse_page_request(request.query_params)
    return await _list(await engine.uploads(caller, states, page, everybody=True), engine)


async def _list(page: Page[Upload], engine: Engine) -> Response:
    positions = await engine.positions(page)
    texts = []
    for upload in page:
        content = render_status(upload, positions.get(upload.id), engine)
        texts.append(json.dumps(content, ensure_ascii=False, separators=(",", ":")))
        if len(texts) % RENDERED_AT_ONCE == 0:
            await asyncio.sleep(0)  # a chunk may be waiting
    following = json.dumps(None if page.next is None else str(page.next))
    text = f'{{"uploads":[{",".join(texts)}],"next":{following}}}'
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})


async def storage(request: Request, caller: Caller, engine: Engine) -> Response:
    return JSONResponse(
        render_storage(await engine.storage(caller)), headers={"Cache-Control": "no-store"}
    )


# From HTTP...


def parse_init(wanted: InitRequest) -> Create:
    return Create(
        filename=wanted.filename,
        length=wanted.size,
        content_type=wanted.content_type,
        chunk_size=wanted.chunk_size,
        fingerprint=wanted.fingerprint,
        digest=parse_file_digest(wanted.digest) if wanted.digest else None,
        metadata=wanted.metadata,
    )


def parse_chunk(fields: dict[str, str], digest: str | None) -> Write:
    """`upload_id` and either `offset` or `chunk_index`, from the query or a form."""
    if "upload_id" not in fields:
        raise BadRequest("upload_id", "is missing; in a form, fields come before the file")
    if ("offset" in fields) == ("chunk_index" in fields):
        raise BadRequest("offset", "give either offset or chunk_index")
    at = {
        name: parse_number(fields[name], name)
        for name in ("offset", "chunk_index")
        if name in fields
    }
    return Write(
        upload_id=parse_id(fields["upload_id"]),
        offset=at.get("offset"),
        index=at.get("chunk_index"),
        digest=parse_digest(digest, "content-digest") if digest else None,
    )


def parse_page_request(query: QueryParams) -> tuple[frozenset[State] | None, PageRequest]:
    """Which uploads a list is of, and which page of it is wanted. Raises `BadRequest`."""
    states = {name for text in query.getlist("state") for name in text.split(",")}
    if unknown := states - {state.value for state in State}:
        raise BadRequest("state", f"is none of an upload: {min(unknown)[:20]!r}")
    limit = parse_number(query.get("limit", str(PAGE)), "limit")
    if limit == 0:
        raise BadRequest("limit", "must be at least 1")
    if (order := query.get("order", "oldest")) not in ("oldest", "newest"):
        raise BadRequest("order", "must be oldest or newest")
    after = None if "after" not in query else parse_cursor(query["after"])
    wanted = frozenset(map(State, states)) or None
    return wanted, PageRequest(after, min(limit, LARGEST_PAGE), newest=order == "newest")


def parse_cursor(text: str) -> Cursor:
    try:
        return Cursor.parse(text)
    except ValueError:
        raise BadRequest("after", "must be the next of the page before") from None


# ...and back.


def render_init(
    upload: Upload, position: int | None, engine: Engine, most_chunk: int | None = None
) -> dict[str, Any]:
    """`most_chunk`: the largest that has room in one request, where that is limited too."""
    settings = engine.settings
    return render_status(upload, position, engine) | {
        "total_chunks": upload.total_chunks,
        "limits": {
            "max_size": settings.max_size,
            "min_chunk": settings.min_chunk,
            "max_chunk": min(settings.max_chunk, most_chunk or settings.max_chunk),
        },
        "concurrency": settings.concurrency,
    }


def render_received(upload: Upload) -> dict[str, Any]:
    return {
        "received_bytes": upload.received.size,
        "size": upload.length,
        "offset": upload.offset,
        "missing": [[gap.start, gap.end] for gap in upload.missing],
    }


def render_complete(upload: Upload) -> dict[str, Any]:
    return {
        "upload_id": upload.id,
        "assessment_id": upload.assessment_id,
        "state": upload.state.value,
    }


def render_status(upload: Upload, position: int | None, engine: Engine) -> dict[str, Any]:
    """`position`: its place in the line, where it stands in it."""
    settings, deleted_at = engine.settings, upload.discarded_at
    expires_at = engine.date_of(upload.expires_at(settings.expires_after))
    return {
        "upload_id": upload.id,
        "state": upload.state.value,
        "filename": upload.filename,
        "content_type": upload.content_type,
        "fingerprint": upload.fingerprint,
        "chunk_size": upload.chunk_size,
        "received": [[part.start, part.end] for part in upload.received.parts],
        "digest": str(upload.digest_now) if upload.is_complete() else None,
        "assessment_id": upload.assessment_id,
        "failure": upload.failure,
        "position": position,
        "retry_after": None if upload.queued_at is None else ask_again(position, settings.turn),
        "expires_at": render_time(expires_at) if upload.state in UNFINISHED else None,
        "deleted_at": render_time(engine.date_of(deleted_at)) if deleted_at else None,
        **render_received(upload),
    }


def render_storage(facts: StorageFacts) -> dict[str, int]:
    return {
        "total": facts.total,
        "free": facts.free,
        "reserved": facts.reserved,
        "used": facts.used,
        "uploads": facts.open,
        "waiting": facts.waiting,
    }


def render_time(seconds: float) -> str:
    """Unix seconds as RFC 3339, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
