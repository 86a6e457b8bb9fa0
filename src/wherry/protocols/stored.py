"""A stored file as an answer: whole, or one range of it.

Rule 1: a file of this machine is Starlette's `FileResponse`, which servers may send without
reading it. Any other file is read from storage in blocks, and no more of it than was asked for.

Rule 2: a browser never shows uploaded bytes as a page of this site: a finished file is always an
attachment, sandboxed, and its type is never sniffed.

Rule 3: a Range that is malformed or of other units is ignored, as RFC 9110, section 14.2 wants
it: the answer is the whole file. So are several ranges of a file that is not of this machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from email.utils import formatdate

import anyio
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse

from wherry.core.errors import NotThere, StorageFailed
from wherry.core.ranges import Range
from wherry.core.requests import Caller
from wherry.engine import Engine, Stat, StoredFile

SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-store",
}
OCTETS = "application/octet-stream"

_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)", re.IGNORECASE | re.ASCII)


async def finished_response(
    request: Request, caller: Caller, engine: Engine, upload_id: str
) -> Response:
    """The file of a complete upload. Raises `NotThere`, `NotForGuests`."""
    upload, file, found = await engine.finished(caller, upload_id)
    return await stored_response(
        request, file, found, OCTETS, headers=SAFE_HEADERS, filename=upload.filename
    )


async def stored_response(
    request: Request,
    file: StoredFile,
    found: Stat,
    media_type: str,
    *,
    headers: Mapping[str, str],
    filename: str | None = None,
) -> Response:
    """`found`: what `file.stat()` was. With `filename`, an attachment of this name.

    Raises `NotThere` for a file of this machine that is gone by now.
    """
    if file.local_path is None:
        # It is never sent; its headers are those that a file of this machine has.
        like = FileResponse("", headers=headers, media_type=media_type, filename=filename)
        return _streamed(request, file, found, dict(like.headers))
    try:
        stat = await anyio.Path(file.local_path).stat()
    except FileNotFoundError:
        raise NotThere from None
    asked = request.headers.get("range", "")
    if "," not in asked and parse_range(asked, stat.st_size) is None:
        # `FileResponse` would answer 400 (Starlette 1.10).
        request.scope["headers"] = [h for h in request.scope["headers"] if h[0] != b"range"]
    return FileResponse(
        file.local_path,
        stat_result=stat,
        media_type=media_type,
        filename=filename,
        headers=headers,
    )


def _streamed(request: Request, file: StoredFile, found: Stat, headers: dict[str, str]) -> Response:
    size, status = found.size, 200
    mark = hashlib.md5(f"{found.modified_at}-{size}".encode(), usedforsecurity=False)
    headers["etag"] = f'"{mark.hexdigest()}"'
    headers["last-modified"] = formatdate(found.modified_at, usegmt=True)
    wanted = Range(0, size) if size else None
    if_range = request.headers.get("if-range")
    if if_range in (None, headers["etag"], headers["last-modified"]):
        asked = parse_range(request.headers.get("range", ""), size)
        if asked is not None and asked[0] >= asked[1]:
            return PlainTextResponse(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        if asked is not None:
            status, wanted = 206, Range(*asked)
            headers["content-range"] = f"bytes {wanted.start}-{wanted.end - 1}/{size}"
    headers["content-length"] = str(len(wanted) if wanted else 0)
    if request.method == "HEAD" or wanted is None:
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_blocks(file, wanted), status_code=status, headers=headers)


def _blocks(file: StoredFile, within: Range) -> Iterator[bytes]:
    try:
        yield from file.read(within)
    except OSError as error:  # Starlette takes an `OSError` for the client's connection
        raise StorageFailed(error.strerror or type(error).__name__) from error


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Start and end of the range that is asked for, of a file of `size` bytes.

    None for a header to be ignored. A range in which there is no byte of the file ends at
    its start.
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:  # the last so many bytes
        return max(size - int(found[2]), 0), size
    start, last = int(found[1]), int(found[2] or size)
    if last < start:
        return None  # malformed, by RFC 9110, section 14.1.1
    return min(start, size), min(last + 1, size)
