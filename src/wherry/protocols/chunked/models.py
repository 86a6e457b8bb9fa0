"""What the chunked API takes and answers, and how that becomes the engine's values.

Rule 1: a model renders an answer and describes it in OpenAPI, so the two cannot differ.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.datastructures import QueryParams

from wherry.core.admission import poll_after
from wherry.core.digests import LENGTHS
from wherry.core.errors import BadRequest
from wherry.core.limits import LARGEST_SIZE
from wherry.core.names import LONGEST_TEXT, MAX_METADATA
from wherry.core.pages import PageRequest
from wherry.core.paths import PathLimits
from wherry.core.requests import Create
from wherry.core.upload import UNFINISHED, State, Upload
from wherry.engine import AddressedPart, Engine, StorageFacts
from wherry.protocols.answers import render_time
from wherry.protocols.chunked.chunks import total_chunks
from wherry.protocols.digests import parse_file_digest
from wherry.protocols.openapi import Completion, Id
from wherry.protocols.parsing import parse_page

Short = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]
#: How many parts one request may name.
MOST_PARTS = 100
ByteRange = Annotated[list[int], Field(min_length=2, max_length=2)]


# What is taken.


class InitRequest(BaseModel):
    """What `init` takes. Sizes in bytes."""

    model_config = ConfigDict(strict=True, extra="ignore")

    filename: str = Field(
        description="A bare name of at most 255 characters, as UTF-16 counts them.",
        examples=["talk.mp4"],
    )
    size: int = Field(ge=0, le=LARGEST_SIZE, examples=[524288000])
    content_type: Short | None = None
    chunk_size: int | None = Field(
        None, ge=1, le=LARGEST_SIZE, description="The size that the client prefers."
    )
    fingerprint: Short | None = Field(
        None,
        description="A text that is the same for the same file: finds its open upload again.",
    )
    digest: Short | None = Field(
        None, description="The digest of the whole file, `crc64nvme=:base64:` (RFC 9530)."
    )
    metadata: dict[Short, Short] = Field(default_factory=dict, max_length=MAX_METADATA)
    direct: bool = Field(
        False, description="Whether the client can send parts to an object store itself."
    )
    refused: int | None = Field(
        None,
        ge=0,
        le=LARGEST_SIZE,
        description="The bytes of a body that a proxy on the way has refused for its size.",
    )
    refused_by: Short | None = Field(
        None, description="Which proxy that was, as far as the client can tell."
    )


class DirectPart(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    number: int = Field(ge=1, le=LARGEST_SIZE, description="From 1 on; the first one is refused.")
    crc64nvme: str = Field(description="The CRC-64/NVME of its bytes, in base64, as in S3.")


class DirectRequest(BaseModel):
    """Parts that the client is about to send to the object store."""

    model_config = ConfigDict(strict=True, extra="ignore")

    upload_id: str
    parts: list[DirectPart] = Field(min_length=1, max_length=MOST_PARTS)


class ReportRequest(BaseModel):
    """Parts that the client has sent to the object store, by their numbers."""

    model_config = ConfigDict(strict=True, extra="ignore")

    upload_id: str
    parts: list[Annotated[int, Field(ge=1, le=LARGEST_SIZE)]] = Field(
        min_length=1, max_length=MOST_PARTS
    )


class CompleteRequest(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    upload_id: str
    digest: Short | None = Field(
        None, description="The digest of the whole file, `crc64nvme=:base64:` (RFC 9530)."
    )


class CancelRequest(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    upload_id: str


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


def parse_direct(wanted: DirectRequest) -> dict[int, int]:
    """The CRCs by the numbers of their parts. Raises `BadRequest`."""
    return {part.number: _parse_crc(part.crc64nvme) for part in wanted.parts}


def _parse_crc(text: str) -> int:
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError:
        value = b""
    if len(value) != LENGTHS["crc64nvme"]:
        raise BadRequest("parts.crc64nvme", "must be the eight bytes of a CRC-64/NVME in base64")
    return int.from_bytes(value, "big")


def parse_page_request(query: QueryParams) -> tuple[frozenset[State] | None, PageRequest]:
    """Which uploads a list is of, and which page of it is wanted. Raises `BadRequest`."""
    states = {name for text in query.getlist("state") for name in text.split(",")}
    if unknown := states - {state.value for state in State}:
        raise BadRequest("state", f"is not a state of an upload: {min(unknown)[:20]!r}")
    return frozenset(map(State, states)) or None, parse_page(query)


# What is answered.


class Received(BaseModel):
    """Which bytes are safe."""

    received_bytes: int
    size: int | None
    offset: int = Field(description="Bytes safe from 0 without a gap.")
    missing: list[ByteRange] = Field(description="The first 100 gaps, as byte ranges [start, end).")


class PathFacts(BaseModel):
    """Bytes: what is known of bodies that come by way of the host of this request."""

    passes: int | None = Field(description="The largest body that has arrived.")
    refuses: int | None = Field(description="The smallest body that was refused on the way.")


class UploadStatus(Received):
    """An upload as it is now."""

    upload_id: Id
    state: State
    filename: str
    content_type: str | None
    fingerprint: str | None = Field(description="As the client gave it.")
    chunk_size: int
    received: list[ByteRange] = Field(description="Byte ranges [start, end).")
    digest: str | None = Field(description="Of the complete file: crc64nvme (RFC 9530).")
    assessment_id: str | None
    failure: str | None = Field(description="Why it ended: an error's code, or a sentence.")
    position: int | None = Field(description="In the queue, while it waits; 1 is next.")
    retry_after: int | None = Field(
        description="Seconds until the client should ask again, while it waits."
    )
    expires_at: datetime | None = Field(
        description="When it is deleted if no byte comes; null when it is complete or gone."
    )
    ticket_id: str | None = Field(
        description="Of the guest's ticket that it was made with; null: its owner made it."
    )
    deleted_at: datetime | None = Field(
        description="When the finished file was deleted, or moved away by on_complete."
    )
    ended_at: datetime | None = Field(
        description="When it was cancelled, expired or failed; null where that is not recorded."
    )
    path: PathFacts | None = Field(
        description="What proxies on the way let pass; null where nothing is known, and in lists."
    )


class InitLimits(BaseModel):
    """Bytes. A `max_size` of null is no limit."""

    max_size: int | None
    min_chunk: int
    max_chunk: int


class Direct(BaseModel):
    """How the client may send parts to the object store."""

    part_size: int = Field(description="Of all parts but the last.")


class Early(BaseModel):
    """How to send the file so that there may be a verdict before it is complete."""

    tail: int = Field(description="Bytes of the end that are best sent after the first chunk.")


class Begun(UploadStatus):
    """An upload to send, new or found again."""

    total_chunks: int | None
    limits: InitLimits
    concurrency: int = Field(description="How many chunks to send at once.")
    direct: Direct | None = Field(
        description="If the client asked for it: null where all bytes have to come as chunks."
    )
    early: Early | None = Field(description="Null where there is no early verdict.")


class Addressed(BaseModel):
    """A part, and where to send its bytes."""

    number: int
    start: int
    end: int = Field(description="The first byte behind the part.")
    url: str = Field(description="A secret until it expires.")
    method: str
    headers: dict[str, str] = Field(description="To be sent besides Content-Length.")


class Addresses(BaseModel):
    """Where to send parts. Those that are recorded already are left out."""

    expires_at: datetime
    parts: list[Addressed]


class Completed(BaseModel):
    """The result of `complete`."""

    upload_id: Id
    assessment_id: str | None
    state: Completion


class Cancelled(BaseModel):
    """The result of `cancel`."""

    upload_id: Id
    state: State


class UploadPage(BaseModel):
    """A page of a list of uploads."""

    uploads: list[UploadStatus]
    next: str | None = Field(
        description="The value of `after` for the next page; null on the last page."
    )


class StorageUse(BaseModel):
    """Bytes, but for `uploads` and `waiting`, which count uploads."""

    total: int | None = Field(description="Of the volume; null in an object store.")
    free: int | None = Field(description="On the volume; null in an object store.")
    reserved: int
    used: int
    uploads: int = Field(description="Uploads that count as open.")
    waiting: int = Field(description="Uploads in the queue.")


def render_received(upload: Upload) -> Received:
    return Received(**_received(upload))


def _received(upload: Upload) -> dict[str, Any]:
    return {
        "received_bytes": upload.received.size,
        "size": upload.length,
        "offset": upload.offset,
        "missing": [[gap.start, gap.end] for gap in upload.missing],
    }


def render_status(
    upload: Upload, position: int | None, engine: Engine, path: PathLimits | None = None
) -> UploadStatus:
    """`position`: in the queue; None for an upload that does not wait. `path`: of the request."""
    return UploadStatus(**status_fields(upload, position, engine, path))


def status_fields(
    upload: Upload, position: int | None, engine: Engine, path: PathLimits | None
) -> dict[str, Any]:
    """The fields of `UploadStatus`."""
    settings, deleted_at, ended_at = engine.settings, upload.discarded_at, upload.ended_at
    expires_at = engine.date_of(upload.expires_at(settings.expires_after))
    return {
        "upload_id": upload.id,
        "state": upload.state,
        "filename": upload.filename,
        "content_type": upload.content_type,
        "fingerprint": upload.fingerprint,
        "chunk_size": upload.chunk_size,
        "received": [[part.start, part.end] for part in upload.received.parts],
        "digest": str(upload.received_digest) if upload.is_complete() else None,
        "assessment_id": upload.assessment_id,
        "failure": upload.failure,
        "ticket_id": upload.ticket_id,
        "position": position,
        "retry_after": None if upload.queued_at is None else poll_after(position, settings.turn),
        "expires_at": render_time(expires_at) if upload.state in UNFINISHED else None,
        "deleted_at": render_time(engine.date_of(deleted_at)) if deleted_at else None,
        "ended_at": render_time(engine.date_of(ended_at)) if ended_at else None,
        "path": None if path is None else PathFacts(passes=path.passes, refuses=path.refuses),
        **_received(upload),
    }


def render_addresses(expires_at: float, parts: Iterable[AddressedPart]) -> Addresses:
    """`expires_at` in Unix seconds."""
    return Addresses(
        expires_at=render_time(expires_at),
        parts=[
            Addressed(
                number=part.number,
                start=part.range.start,
                end=part.range.end,
                url=part.address.url,
                method=part.address.method,
                headers=dict(part.address.headers),
            )
            for part in parts
        ],
    )


def render_init(
    upload: Upload,
    position: int | None,
    engine: Engine,
    create: Create,
    path: PathLimits | None,
    *,
    max_size: int | None,
    is_direct: bool,
) -> Begun:
    """`create`: with the largest chunk that has room in one request, where that is limited too.

    `path`: of the request. `max_size`: of the caller, in bytes. `is_direct`: whether the client
    can send parts to an object store itself.
    """
    settings, largest_chunk = engine.settings, create.largest_chunk
    part_size = engine.direct_part_size(upload) if is_direct else None
    tail = engine.early_tail(upload)
    return Begun(
        **status_fields(upload, position, engine, path),
        total_chunks=total_chunks(upload),
        limits=InitLimits(
            max_size=max_size,
            min_chunk=settings.min_chunk,
            max_chunk=min(settings.max_chunk, largest_chunk or settings.max_chunk),
        ),
        concurrency=settings.concurrency,
        direct=None if part_size is None else Direct(part_size=part_size),
        early=None if tail is None else Early(tail=tail),
    )


def render_complete(upload: Upload) -> Completed:
    return Completed(
        upload_id=upload.id, assessment_id=upload.assessment_id, state=upload.state.value
    )


def render_storage(facts: StorageFacts) -> StorageUse:
    return StorageUse(
        total=facts.total,
        free=facts.free,
        reserved=facts.reserved,
        used=facts.used,
        uploads=facts.open,
        waiting=facts.waiting,
    )
