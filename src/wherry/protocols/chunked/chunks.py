"""Where the bytes of a chunk belong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wherry.core.digests import Digest
from wherry.core.errors import BadRequest, RangeOutside, TooLarge, UploadError
from wherry.core.limits import LARGEST_SIZE
from wherry.core.ranges import Range
from wherry.core.upload import Upload
from wherry.protocols.digests import parse_digest
from wherry.protocols.parsing import parse_id, parse_number


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where the bytes of one request belong: from `at` on, or in chunk number `at`."""

    upload_id: str
    at: int
    is_numbered: bool
    digest: Digest | None


def parse_chunk(fields: Mapping[str, str], digest: str | None) -> Chunk:
    """`upload_id` and either `offset` or `chunk_index`, from the query or a form."""
    if "upload_id" not in fields:
        raise BadRequest("upload_id", "is missing; in a form, fields come before the file")
    if ("offset" in fields) == ("chunk_index" in fields):
        raise BadRequest("offset", "give either offset or chunk_index")
    is_numbered = "chunk_index" in fields
    name = "chunk_index" if is_numbered else "offset"
    at = parse_number(fields[name], name)
    return Chunk(
        upload_id=parse_id(fields["upload_id"]),
        at=at,
        is_numbered=is_numbered,
        digest=parse_digest(digest, "content-digest") if digest else None,
    )


def chunk_range(upload: Upload, index: int) -> Range:
    """The bytes of the chunk with this number, counted from 0 in the upload's `chunk_size`.

    Raises `RangeOutside` behind the last chunk.
    """
    return chunk_from(upload, index * upload.chunk_size)


def chunk_from(upload: Upload, start: int) -> Range:
    """The bytes of a chunk of the upload's `chunk_size` that begins at `start`.

    Raises `RangeOutside` behind the last byte.
    """
    end, length = start + upload.chunk_size, _length(upload)
    if start >= length:
        raise RangeOutside(min(start, LARGEST_SIZE), min(end, LARGEST_SIZE), length)
    return Range(start, min(end, length))


def more_than(within: Range, upload: Upload) -> UploadError:
    """Why a chunk may not bring more than these bytes."""
    if within.end == (length := _length(upload)):
        return RangeOutside(within.start, length + 1, length)
    return TooLarge(len(within), len(within) + 1, scope="request")


def _length(upload: Upload) -> int:
    return upload.limit if upload.length is None else upload.length


def total_chunks(upload: Upload) -> int | None:
    return None if upload.length is None else -(-upload.length // upload.chunk_size)
