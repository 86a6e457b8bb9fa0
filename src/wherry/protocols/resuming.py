"""What the protocols of resumable uploads have in common: an upload at an address of its own, to
which bytes are appended in their order.
"""

from __future__ import annotations

from typing import Any

import http_sf
from starlette.requests import Request

from wherry.core.errors import LengthRequired, RangeOutside, TooLarge, UploadGone
from wherry.core.requests import Caller, Write
from wherry.core.upload import UNFINISHED, Upload
from wherry.engine import Engine
from wherry.protocols.bodies import RequestBody, body_of
from wherry.protocols.bodylimit import largest_chunk
from wherry.protocols.parsing import parse_id
from wherry.protocols.paths import note_arrival, path_limits
from wherry.protocols.waiting import latest, until_admitted

#: The media type of the bytes that the IETF's protocol appends.
PARTIAL = "application/partial-upload"
#: The largest Integer of a structured field (RFC 9651, section 3.3.1).
LARGEST = 10**15 - 1
#: What a file without a name is called.
UNNAMED = "upload"


def bare(name: str) -> str:
    """The last part of a path: folders that are dropped on a page have paths for names."""
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2] or UNNAMED


def most_of(caller: Caller, engine: Engine) -> int:
    """The most bytes that an upload of unknown length may have: so much space is reserved.

    Raises `LengthRequired` where there is no such limit.
    """
    most = caller.max_size(engine.settings.max_size)
    if most is None:
        raise LengthRequired
    return most


def location_of(request: Request, upload_id: str) -> str:
    """The address of a new upload, relative to that of the request.

    Nobody here knows what a proxy has stripped from the front of it.
    """
    path = request.url.path
    return upload_id if path.endswith("/") else f"{path.rpartition('/')[2]}/{upload_id}"


def limits(
    request: Request,
    caller: Caller,
    engine: Engine,
    upload: Upload | None = None,
    lifetime: str = "max-age",
) -> dict[str, str]:
    """`Upload-Limit` of uploads, or of this one.

    `lifetime`: the key of the seconds until it expires.
    """
    most = caller.max_size(engine.settings.max_size)
    if upload is not None and not upload.pieces:  # one that is joined takes no bytes itself
        most = upload.limit
    found = {"max-size": most, "max-append-size": _largest_append(request, caller, engine)}
    if upload is not None and upload.state in UNFINISHED:
        left = engine.date_of(upload.expires_at(engine.settings.expires_after)) - engine.date
        found[lifetime] = max(int(left), 0)
    told: dict[str, Any] = {k: min(v, LARGEST) for k, v in found.items() if v is not None}
    return {"Upload-Limit": http_sf.ser(told or {"min-size": 0})}


def _largest_append(request: Request, caller: Caller, engine: Engine) -> int | None:
    """The largest body that passes on the way here, and is taken; None: not known."""
    path = path_limits(request, caller, engine)
    passes = None if path is None or path.refuses is None else path.passes
    return min(filter(None, (passes, largest_chunk(request.scope))), default=None)


async def existing(request: Request, caller: Caller, engine: Engine) -> Upload:
    """Raises as `check_existing` does."""
    upload = await engine.status(caller, parse_id(request.path_params["upload_id"]))
    check_existing(upload)
    return upload


def check_existing(upload: Upload) -> None:
    """Raises `UploadGone`, also when its finished file was deleted."""
    upload.check_exists()
    if upload.discarded_at is not None:
        raise UploadGone("deleted")


async def append(
    request: Request, upload: Upload, write: Write, caller: Caller, engine: Engine
) -> Upload:
    """The upload with the body appended, as soon as it has left the queue."""
    timeout, is_distant = engine.settings.chunk_timeout, engine.is_storage_distant
    upload.check_offset(write.offset)
    async with body_of(request, timeout, is_distant=is_distant) as body:
        await _bound(body, upload)
        if not body.remaining:
            return upload
        upload = await until_admitted(upload, caller, engine, latest(engine))
        upload = await engine.append(caller, write, body, upload)
    note_arrival(request, caller, engine)
    return upload


async def _bound(body: RequestBody, upload: Upload) -> None:
    """Take no more than is missing at the offset. Raises `RangeOutside`, `TooLarge`."""
    at, length = upload.offset, upload.length
    end = upload.limit if length is None else length
    beyond = TooLarge(end, end + 1) if length is None else RangeOutside(at, end + 1, end)
    if not body.is_announced:
        await body.bound(end - at, beyond)
    elif body.remaining > end - at:
        raise beyond
