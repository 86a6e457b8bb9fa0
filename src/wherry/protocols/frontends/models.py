"""How other front ends describe a chunk, and what they are answered.

Rule 1: a client names its file itself. That name is the fingerprint of an upload of this caller, so
nobody reaches an upload of somebody else by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, Field

from wherry.core.errors import BadRequest, RangeOutside
from wherry.core.requests import Create
from wherry.core.upload import Upload
from wherry.protocols.bodies import Form
from wherry.protocols.openapi import Completion, Id
from wherry.protocols.parsing import parse_number

#: What Resumable.js and Flow.js say of a chunk: https://github.com/23/resumable.js#how-do-i-set-it-up-with-my-server
_NEEDED = "CurrentChunkSize|ChunkNumber|ChunkSize|TotalSize|TotalChunks|Identifier|Filename"
#: By default the names begin with the library's; a namespace may stand before that.
_DEFAULT = re.compile(rf"(?:resumable|flow)({_NEEDED}|Type|RelativePath)$")
#: A page may have chosen other names, like `chunk_number`.
_CHOSEN = re.compile(rf"({_NEEDED})$", re.IGNORECASE)
_BY_LOWER = {name.lower(): name for name in _NEEDED.split("|")}
#: What Dropzone says of a chunk (its option `params`).
_DROPZONE = re.compile("dz(uuid|chunk(index|size|byteoffset)|total(filesize|chunkcount))")
_OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk of the file that the client calls `name`: its bytes from `start` to `end`, excluded.

    `total`: bytes of the file. `size`: of its chunks.
    """

    name: str
    start: int
    end: int
    total: int
    size: int
    filename: str
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises `RangeOutside`, `BadRequest`."""
        if self.end > self.total:
            raise RangeOutside(self.start, self.end, self.total)
        if self.start >= self.end and self.total:
            raise BadRequest("chunk", "has no bytes")

    @property
    def is_first(self) -> bool:
        return self.start == 0

    @property
    def is_last(self) -> bool:
        return self.end == self.total

    def create(self) -> Create:
        return Create(
            self.filename,
            self.total,
            content_type=self.content_type,
            chunk_size=self.size or None,
            fingerprint=self.name,
            metadata=self.metadata,
        )


def parse_numbered(fields: Mapping[str, str], form: Form | None = None) -> Piece:
    """A chunk of Resumable.js or Flow.js, from the query or a form. Raises `BadRequest`."""
    said, others = _recognised(fields)
    number, size, total = (
        _number(said, name) for name in ("ChunkNumber", "ChunkSize", "TotalSize")
    )
    if number < 1 or size < 1:
        raise BadRequest("ChunkNumber", "counts from 1, and a chunk has bytes")
    start = (number - 1) * size
    if "CurrentChunkSize" in said:
        end = start + _number(said, "CurrentChunkSize")
    else:  # the last chunk has up to twice the size
        is_last = said.get("TotalChunks") == str(number)
        end = total if is_last else min(start + size, total)
    filename = said.get("Filename") or (form and form.filename) or ""
    if (path := said.get("RelativePath", filename)) != filename:
        others["relative_path"] = path
    name = _name("resumable", said.get("Identifier", ""))
    return Piece(name, start, end, total, size, filename, said.get("Type") or None, others)


def _recognised(fields: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What the library says by the names of its parameters, and everything else."""
    said, others = {}, {}
    for name, value in fields.items():
        if found := _DEFAULT.search(name):
            said[found[1]] = value
        else:
            others[name] = value
    for name in list(others):
        if found := _CHOSEN.search(re.sub("[_-]", "", name)):
            key = _BY_LOWER[found[1].lower()]
            if key not in said:
                said[key] = others.pop(name)
    return said, others


def is_chunk_of_dropzone(fields: Mapping[str, str]) -> bool:
    return "dzuuid" in fields and "dzchunkindex" in fields


def parse_dropzone(fields: Mapping[str, str], form: Form) -> Piece:
    """A chunk of Dropzone. Raises `BadRequest`."""
    start, size, total = (
        _number(fields, name) for name in ("dzchunkbyteoffset", "dzchunksize", "dztotalfilesize")
    )
    content_type = None if form.content_type == _OCTETS else form.content_type
    others = {name: value for name, value in fields.items() if not _DROPZONE.fullmatch(name)}
    return Piece(
        _name("dropzone", fields["dzuuid"]),
        start,
        min(start + size, total),
        total,
        size,
        form.filename or "",
        content_type,
        others,
    )


def _number(fields: Mapping[str, str], name: str) -> int:
    if name not in fields:
        raise BadRequest(name, "is missing")
    return parse_number(fields[name], name)


def _name(kind: str, identifier: str) -> str:
    if not identifier:
        raise BadRequest("Identifier", "is missing")
    return f"{kind}:{identifier}"


class Answer(BaseModel):
    """What came of a chunk, or of a whole file."""

    upload_id: Id
    state: Completion
    received_bytes: int
    size: int | None
    assessment_id: str | None = Field(description="As soon as the upload is complete.")


def render_answer(upload: Upload) -> Answer:
    return Answer(
        upload_id=upload.id,
        state=upload.state.value,
        received_bytes=upload.received.size,
        size=upload.length,
        assessment_id=upload.assessment_id,
    )
