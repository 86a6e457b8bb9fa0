"""What the headers of resumable uploads say, and how the engine's values become headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import http_sf
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

from wherry.core.digests import Digest
from wherry.core.errors import BadRequest, LengthMismatch, TooLarge
from wherry.core.requests import Caller, Create
from wherry.core.upload import State, Upload
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED
from wherry.protocols.digests import parse_digest, parse_digests
from wherry.protocols.ietf.versions import NEWEST, SPEAKS_WITHOUT_VERSION, VERSIONS, Version
from wherry.protocols.metadata import NAMES, TYPES, first, parse_metadata
from wherry.protocols.parsing import media_type, parse_content_length, parse_filename, raw_header
from wherry.protocols.resuming import PARTIAL, UNNAMED, bare, most_of

INTEROP = "Upload-Draft-Interop-Version"
#: What describes an upload in a request.
_FIELDS = ("upload-offset", "upload-complete", "upload-incomplete", "upload-length")


def is_spoken(scope: Scope) -> bool:
    """Whether the request is one of this protocol."""
    headers = Headers(scope=scope)
    if "tus-resumable" in headers:
        return False
    return INTEROP in headers or _completeness(headers) is not None


def begins(scope: Scope) -> bool:
    """Whether the request begins a resumable upload.

    A form is no file, and a request with an `Idempotency-Key` may be repeated as it is: both are
    ordinary uploads, also with `Upload-Complete: ?1`, which some clients send with every upload.
    """
    headers = Headers(scope=scope)
    if _completeness(headers) is None:
        return False
    is_form = headers.get("content-type", "").lower().startswith("multipart/form-data")
    return not (is_form or "idempotency-key" in headers or "tus-resumable" in headers)


@dataclass(frozen=True, slots=True)
class Asked:
    """The fields of one request. None: it has no such field, or one to be ignored.

    `is_known`: whether it names a version that is spoken here. `is_last`: whether its body ends
    the file. `length`: of the file, `offset`: where the body begins, both in bytes.
    """

    version: Version
    is_known: bool
    is_last: bool | None
    length: int | None
    offset: int | None

    def whole(self, request: Request, offset: int = 0) -> int | None:
        """The length of the file, as far as the request tells. Raises `LengthMismatch`."""
        body = parse_content_length(request)
        end = offset + body if self.is_last and body is not None else None
        if self.length is not None and end is not None and self.length != end:
            raise LengthMismatch(declared=self.length, provided=end)
        return end if self.length is None else self.length


def parse(request: Request) -> Asked:
    headers = request.headers
    number = _integer(headers, INTEROP)
    version = NEWEST if number is None else VERSIONS.get(number, NEWEST)
    is_known = number in VERSIONS or (number is None and SPEAKS_WITHOUT_VERSION)
    is_last = _completeness(headers)
    if is_last is None and version.is_inverted:
        is_last = True  # -01: it may be left out
    return Asked(
        version,
        is_known,
        is_last,
        _integer(headers, "upload-length"),
        _integer(headers, "upload-offset"),
    )


def _item(headers: Headers, name: str) -> Any:
    """The value of an Item; None: there is none, or the field has to be ignored."""
    if (text := headers.get(name)) is None:
        return None
    try:
        item: Any = http_sf.parse(text.encode("ascii"), tltype="item")
        return item[0]
    except ValueError:
        return None


def _integer(headers: Headers, name: str) -> int | None:
    value = _item(headers, name)
    return value if type(value) is int and value >= 0 else None


def _completeness(headers: Headers) -> bool | None:
    """Whether the body ends the file; None: it is not said."""
    if isinstance(said := _item(headers, "upload-complete"), bool):
        return said
    said = _item(headers, "upload-incomplete")
    return not said if isinstance(said, bool) else None


def parse_create(request: Request, asked: Asked, caller: Caller, engine: Engine) -> Create:
    """Raises `BadRequest`, `TooLarge`, `LengthMismatch`, `LengthRequired`."""
    most = caller.max_size(engine.settings.max_size)
    if most is not None and asked.length is not None and asked.length > most:
        raise TooLarge(most, asked.length)  # also where the length of the body contradicts
    length = asked.whole(request)
    disposition = raw_header(request, "content-disposition")
    name = parse_filename(disposition) if disposition else None
    metadata = parse_metadata(request.headers.get("upload-metadata", ""))
    sent_type = None if is_partial(request) else request.headers.get("content-type")
    return Create(
        bare(name or first(metadata, NAMES) or UNNAMED),
        length=length,
        at_most=most_of(caller, engine) if length is None else None,
        content_type=first(metadata, TYPES) or sent_type or None,
        digest=_whole_digest(request),
        metadata=metadata,
    )


def _whole_digest(request: Request) -> Digest | None:
    """The CRC-64/NVME of the file. Others cannot be had from parts, and are not looked at."""
    text = request.headers.get("repr-digest")
    return parse_digests(text, "repr-digest").get("crc64nvme") if text else None


def parse_body_digest(request: Request) -> Digest | None:
    """Raises `BadRequest`."""
    text = request.headers.get("content-digest")
    return parse_digest(text, "content-digest") if text else None


def check_bare(request: Request, version: Version) -> None:
    """Raises `BadRequest`."""
    if not version.bare_head:
        return
    for name in _FIELDS:
        if name in request.headers:
            raise BadRequest(name, f"does not belong to a {request.method} of this version")


def is_partial(request: Request) -> bool:
    return media_type(request) == PARTIAL


def is_complete(upload: Upload) -> bool:
    """Whether a client has said that it is: then no byte can be added."""
    return upload.state in (State.COMPLETING, State.COMPLETE)


def progress(upload: Upload, version: Version) -> dict[str, str]:
    """What every answer says of an upload."""
    told = {"Upload-Offset": str(upload.offset), **version.tell(is_complete(upload))}
    if upload.is_complete():
        told["Repr-Digest"] = str(upload.received_digest)
    if upload.assessment_id is not None:
        told["Wherry-Assessment"] = upload.assessment_id
    return {**NOT_STORED, **told}


def description(upload: Upload, version: Version) -> dict[str, str]:
    """What HEAD and GET say."""
    length = {} if upload.length is None else {"Upload-Length": str(upload.length)}
    return progress(upload, version) | length
