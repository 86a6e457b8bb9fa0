"""What the headers of tus say, and how the engine's values become headers."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from urllib.parse import urlsplit

from starlette.requests import Request

from wherry.core.digests import Digest, LateDigest
from wherry.core.errors import BadRequest
from wherry.core.names import LONGEST_TEXT
from wherry.core.requests import Caller, Create
from wherry.core.upload import UNFINISHED, Upload
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED
from wherry.protocols.bodies.offer import Offer, offer_of
from wherry.protocols.errors import WrongMediaType, WrongVersion
from wherry.protocols.metadata import (
    NAMES,
    TYPES,
    decode_base64,
    first,
    parse_metadata,
    render_metadata,
)
from wherry.protocols.parsing import media_type, parse_id, parse_number
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
#: `checksum-trailer` only where the server shows trailers; the last one where `max_size` is set.
EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "expiration",
    "checksum",
    "checksum-trailer",
    "concatenation",
    "concatenation-unfinished",
    "termination",
    "creation-defer-length",
)
#: The entries of an upload's metadata that have a header as the client wrote it, in pieces: the
#: client's metadata, where the other entries do not tell; `Upload-Concat` of a final upload.
METADATA, CONCAT = "tus_metadata_", "tus_concat_"
#: What `Upload-Concat` says of a partial upload, and what it begins with for a final one.
PARTIAL, FINAL = "partial", "final;"


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
    metadata = parse_metadata(given)
    if render_metadata(metadata) != given:
        metadata |= _verbatim(METADATA, given)
    concat = request.headers.get("upload-concat")
    if is_final(request):
        _check_without_length(request)
        metadata |= _verbatim(CONCAT, concat or "")
        length: int | None = 0  # that of its pieces
    elif concat in (None, PARTIAL):
        length = _parse_length(request)
    else:
        raise BadRequest("upload-concat", "must be partial, or final; with addresses behind it")
    return Create(
        filename=bare(first(metadata, NAMES) or UNNAMED),
        length=length,
        at_most=most_of(caller, engine) if length is None else None,
        content_type=first(metadata, TYPES),
        metadata=metadata,
        is_piece=concat == PARTIAL,
    )


def is_final(request: Request) -> bool:
    """Whether a new upload is to be joined from others."""
    return request.headers.get("upload-concat", "").startswith(FINAL)


def parse_final(request: Request) -> list[str]:
    """The identifiers of the partial uploads of a final one, in their order.

    Only the last step of an address counts: nobody here knows under which ones a proxy shows this
    server. Raises `BadRequest`, and `UploadNotFound` for what is no address of an upload.
    """
    found = []
    for url in request.headers["upload-concat"].removeprefix(FINAL).split():
        try:
            path = urlsplit(url).path
        except ValueError:
            raise BadRequest("upload-concat", "has something that is no address") from None
        found.append(parse_id(path.rstrip("/").rpartition("/")[2]))
    return found


def _check_without_length(request: Request) -> None:
    """Raises `BadRequest` for a final upload with a length, which follows from its parts."""
    for name in ("upload-length", "upload-defer-length"):
        if name in request.headers:
            raise BadRequest(name, "a final upload has the length of its partial uploads together")


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


def _verbatim(prefix: str, text: str) -> dict[str, str]:
    """Entries of metadata that have a header as the client wrote it."""
    pieces = range(0, len(text), LONGEST_TEXT)
    return {f"{prefix}{n}": text[at : at + LONGEST_TEXT] for n, at in enumerate(pieces)}


def _as_written(prefix: str, metadata: Mapping[str, str]) -> str:
    """The inverse of `_verbatim`; empty: there are no such entries."""
    pieces: list[str] = []
    while (piece := metadata.get(f"{prefix}{len(pieces)}")) is not None:
        pieces.append(piece)
    return "".join(pieces)


def _metadata(upload: Upload) -> str:
    """The metadata as the client wrote them; empty: it gave none."""
    if given := _as_written(METADATA, upload.metadata):
        return given
    kept = upload.metadata
    if upload.pieces:
        kept = {key: value for key, value in kept.items() if not key.startswith(CONCAT)}
    return render_metadata(kept)


def _concat(upload: Upload) -> str:
    """`Upload-Concat` as the client wrote it; empty: it is an ordinary upload."""
    return PARTIAL if upload.is_piece else _as_written(CONCAT, upload.metadata)


def parse_checksum(request: Request) -> Digest | LateDigest | None:
    """Of the body. Raises `BadRequest`."""
    text = request.headers.get("upload-checksum")
    if text is not None:
        return _parse_digest(text)
    announced = {name.strip().lower() for name in request.headers.get("trailer", "").split(",")}
    if "upload-checksum" not in announced:
        return None
    if (offer := offer_of(request.scope)) is None:
        raise BadRequest("trailer", "this server cannot see it: send Upload-Checksum as a header")
    return LateDigest(tuple(ALGORITHMS.values()), lambda: _digest_in_trailer(offer))


def _digest_in_trailer(offer: Offer) -> Digest:
    """Raises `BadRequest`. No other line of a trailer is ever used: nothing has checked it."""
    found = [value for name, value in offer.trailers if name == b"upload-checksum"]
    if len(found) != 1:
        raise BadRequest("trailer", "must bring Upload-Checksum once, as it was announced")
    return _parse_digest(found[0].decode("latin-1").strip())


def _parse_digest(text: str) -> Digest:
    name, _, value = text.partition(" ")
    if (algorithm := ALGORITHMS.get(name)) is None:
        raise BadRequest("upload-checksum", f"must be one of {', '.join(ALGORITHMS)}")
    return Digest(algorithm, decode_base64(value.strip(), "upload-checksum"))


def extensions(request: Request, most: int | None) -> str:
    """`most`: the bytes that a file may have; None: any number."""
    lacking = set[str]()
    if most is None:
        lacking.add("creation-defer-length")
    if offer_of(request.scope) is None:
        lacking.add("checksum-trailer")
    return ",".join(name for name in EXTENSIONS if name not in lacking)


def progress(upload: Upload, engine: Engine) -> dict[str, str]:
    """What every answer says of an upload."""
    found = dict(NOT_STORED)
    # tus 1.0, concatenation: before a final upload has all of its bytes, "the Server SHOULD NOT
    # include the Upload-Offset header".
    if not upload.pieces or upload.is_complete():
        found["Upload-Offset"] = str(upload.offset)
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
    if metadata := _metadata(upload):
        found["Upload-Metadata"] = metadata
    if upload.joining is not None:
        found["Upload-Concat"] = _concat(upload)
    return found
