"""What the headers of tus say, and how the engine's values become headers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from email.utils import formatdate

from starlette.requests import Request

from wherry.core.digests import Digest
from wherry.core.errors import BadRequest
from wherry.core.names import LONGEST_TEXT, as_unicode
from wherry.core.requests import Caller, Create
from wherry.core.upload import UNFINISHED, Upload
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED
from wherry.protocols.errors import WrongMediaType, WrongVersion
from wherry.protocols.parsing import media_type, parse_number
from wherry.protocols.resuming import UNNAMED, bare, most_of

VERSION = "1.0.0"
#: What every answer has.
HEADERS = {"Tus-Resumable": VERSION, "Tus-Version": VERSION}
OCTETS = "application/offset+octet-stream"
#: The algorithms of `Upload-Checksum`, and their names in `core.digests`.
ALGORITHMS = {
    "sha1": "sha1",
    "sha256": "sha-256",
    "sha512": "sha-512",
    "md5": "md5",
    "crc32": "crc32",
    "crc32c": "crc32c",
    "crc64nvme": "crc64nvme",
}
#: The last one only where `max_size` is set.
EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "expiration",
    "checksum",
    "termination",
    "creation-defer-length",
)
#: The metadata in which clients send the name and the type of a file, the most usual first.
NAMES, TYPES = ("filename", "name"), ("filetype", "type", "contentType")
#: The entries of an upload's metadata that have the client's metadata as it wrote them, in pieces;
#: where the other entries do not tell.
VERBATIM = "tus_metadata_{}"


def check_version(request: Request) -> None:
    """Raises `WrongVersion`."""
    if request.headers.get("tus-resumable") != VERSION:
        raise WrongVersion("Tus-Resumable", VERSION)


def check_octets(request: Request) -> None:
    """Raises `WrongMediaType`."""
    if media_type(request) != OCTETS:
        raise WrongMediaType(OCTETS)


def parse_create(request: Request, caller: Caller, engine: Engine) -> Create:
    """Raises `BadRequest`, `LengthRequired`."""
    given = request.headers.get("upload-metadata", "")
    pairs = parse_metadata(given)
    metadata = {key: value.decode("utf-8", "replace") for key, value in pairs.items()}
    if render_metadata(metadata) != given:
        pieces = range(0, len(given), LONGEST_TEXT)
        metadata |= {
            VERBATIM.format(number): given[start : start + LONGEST_TEXT]
            for number, start in enumerate(pieces)
        }
    length = _parse_length(request)
    return Create(
        filename=bare(_first(metadata, NAMES) or UNNAMED),
        length=length,
        at_most=most_of(caller, engine) if length is None else None,
        content_type=_first(metadata, TYPES),
        metadata=metadata,
    )


def _first(metadata: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    return next((metadata[key] for key in keys if metadata.get(key)), None)


def _parse_length(request: Request) -> int | None:
    """The length of the new upload; None: it comes later. Raises `BadRequest`."""
    headers = request.headers
    length, deferred = headers.get("upload-length"), headers.get("upload-defer-length")
    if (length is None) == (deferred is None):
        raise BadRequest("upload-length", "give either Upload-Length or Upload-Defer-Length")
    if length is not None:
        return parse_number(length, "upload-length")
    if deferred != "1":
        raise BadRequest("upload-defer-length", "must be 1")
    return None


def parse_metadata(text: str) -> dict[str, bytes]:
    """`key base64,key base64,key`, by key. Raises `BadRequest`."""
    found: dict[str, bytes] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        key, _, value = pair.partition(" ")
        if key in found:
            raise BadRequest("upload-metadata", "has a key twice")
        found[as_unicode(key)] = _decoded(value.strip(), "upload-metadata")
    return found


def render_metadata(metadata: Mapping[str, str]) -> str:
    """The inverse of `parse_metadata`, as most clients write it."""
    pairs = []
    for key, value in metadata.items():
        encoded = base64.b64encode(value.encode()).decode()
        pairs.append(f"{key} {encoded}" if encoded else key)
    return ",".join(pairs)


def _verbatim(metadata: Mapping[str, str]) -> str:
    """The metadata as the client wrote them; empty: it gave none."""
    pieces: list[str] = []
    while (piece := metadata.get(VERBATIM.format(len(pieces)))) is not None:
        pieces.append(piece)
    return "".join(pieces) or render_metadata(metadata)


def parse_checksum(request: Request) -> Digest | None:
    """Of the body. Raises `BadRequest`."""
    text = request.headers.get("upload-checksum")
    if text is None:
        return None
    name, _, value = text.partition(" ")
    if (algorithm := ALGORITHMS.get(name)) is None:
        raise BadRequest("upload-checksum", f"must be one of {', '.join(ALGORITHMS)}")
    return Digest(algorithm, _decoded(value.strip(), "upload-checksum"))


def _decoded(text: str, field: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise BadRequest(field, "has a value that is not base64") from None


def extensions(most: int | None) -> str:
    """`most`: the bytes that a file may have; None: any number."""
    return ",".join(EXTENSIONS if most is not None else EXTENSIONS[:-1])


def progress(upload: Upload, engine: Engine) -> dict[str, str]:
    """What every answer says of an upload."""
    found = {**NOT_STORED, "Upload-Offset": str(upload.offset)}
    if upload.state in UNFINISHED:
        expires_at = engine.date_of(upload.expires_at(engine.settings.expires_after))
        found["Upload-Expires"] = formatdate(expires_at, usegmt=True)
    if upload.assessment_id is not None:
        found["Wherry-Assessment"] = upload.assessment_id
    return found


def description(upload: Upload, engine: Engine) -> dict[str, str]:
    """What HEAD says."""
    found = progress(upload, engine)
    if upload.length is None:
        found["Upload-Defer-Length"] = "1"
    else:
        found["Upload-Length"] = str(upload.length)
    if metadata := _verbatim(upload.metadata):
        found["Upload-Metadata"] = metadata
    return found
