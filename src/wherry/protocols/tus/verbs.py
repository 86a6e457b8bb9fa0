"""The verbs of tus."""

from __future__ import annotations

from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from wherry.core.errors import Busy, MadeOfPieces, NotForGuests, UploadClosed
from wherry.core.requests import Caller, Write
from wherry.core.upload import State, Upload
from wherry.engine import Engine
from wherry.protocols.errors import WrongMethod
from wherry.protocols.operation import Verb
from wherry.protocols.parsing import parse_id, parse_number
from wherry.protocols.resuming import (
    PARTIAL,
    append,
    check_existing,
    existing,
    limits,
    location_of,
)
from wherry.protocols.stored import finished_response
from wherry.protocols.tus.models import (
    ALGORITHMS,
    check_octets,
    check_version,
    description,
    extensions,
    is_final,
    parse_checksum,
    parse_create,
    parse_final,
    progress,
)
from wherry.protocols.waiting import unhurried


def versioned(verb: Verb) -> Verb:
    """The verb, for requests of this version only."""

    @wraps(verb)
    async def perform(request: Request, caller: Caller, engine: Engine) -> Response:
        check_version(request)
        return await verb(request, caller, engine)

    return perform


async def options(request: Request, caller: Caller, engine: Engine) -> Response:
    """What the server can do, by this protocol and the IETF's.

    200, because old clients take no 204.
    """
    most = caller.max_size(engine.settings.max_size)
    headers = {
        "Tus-Extension": extensions(request, most),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        "Accept-Patch": PARTIAL,
        **limits(request, caller, engine),
    }
    if most is not None:
        headers["Tus-Max-Size"] = str(most)
    return Response(headers=headers)


@versioned
@unhurried
async def create(request: Request, caller: Caller, engine: Engine) -> Response:
    """Begin an upload; the request may bring its first bytes."""
    wanted, digest = parse_create(request, caller, engine), parse_checksum(request)
    has_body = _has_body(request)
    if is_final(request):
        if has_body:
            raise MadeOfPieces
        upload, _ = await engine.join(caller, wanted, parse_final(request))
    else:
        if has_body:
            check_octets(request)
        upload, _ = await engine.create(caller, wanted)
    if has_body:
        write = Write(upload.id, 0, digest)
        upload = await append(request, upload, write, caller, engine)
    upload = await _completed(upload, caller, engine)
    headers = {"Location": location_of(request, upload.id), **progress(upload, engine)}
    return Response(status_code=201, headers=headers)


@versioned
async def head(request: Request, caller: Caller, engine: Engine) -> Response:
    """Where to go on. 200, because old clients take no 204.

    A partial upload whose bytes are in a final one is whole, though it is deleted: so a client
    that has had no answer to its request for the final one sends nothing twice, and asks again.
    """
    upload = await engine.status(caller, parse_id(request.path_params["upload_id"]))
    if not await engine.has_bytes_of(upload):
        check_existing(upload)
        upload = await _completed(upload, caller, engine)
    return Response(headers=description(upload, engine))


@versioned
@unhurried
async def patch(request: Request, caller: Caller, engine: Engine) -> Response:
    """Append bytes."""
    check_octets(request)
    at = parse_number(request.headers.get("upload-offset", ""), "upload-offset")
    digest = parse_checksum(request)
    upload = await existing(request, caller, engine)
    if upload.pieces:
        raise MadeOfPieces
    if (declared := request.headers.get("upload-length")) is not None:
        length = parse_number(declared, "upload-length")
        if length != upload.length:
            upload = await engine.declare_length(caller, upload.id, length)
    upload = await append(request, upload, Write(upload.id, at, digest), caller, engine)
    upload = await _completed(upload, caller, engine)
    return Response(status_code=204, headers=progress(upload, engine))


async def download(request: Request, caller: Caller, engine: Engine) -> Response:
    """The finished file. tus 1.0 says nothing of GET, so it needs no `Tus-Resumable`."""
    upload = await existing(request, caller, engine)
    upload = await _completed(upload, caller, engine)
    if not upload.is_complete():
        upload.check_whole()
        raise Busy("completing this upload")
    return await finished_response(request, caller, engine, upload.id)


@versioned
async def delete(request: Request, caller: Caller, engine: Engine) -> Response:
    """Cancel the upload, or delete its finished file."""
    upload = await existing(request, caller, engine)
    try:
        await engine.cancel(caller, upload.id)
    except UploadClosed:
        if caller.ticket is not None:
            raise NotForGuests from None
        await engine.discard(caller, upload.id)
    return Response(status_code=204)


async def overridden(request: Request, caller: Caller, engine: Engine) -> Response:
    """POST with `X-HTTP-Method-Override`, where something on the way takes no other methods."""
    method = request.headers.get("x-http-method-override", "").upper()
    verb = {"PATCH": patch, "HEAD": head, "DELETE": delete}.get(method)
    if verb is None:
        raise WrongMethod(("HEAD", "PATCH", "DELETE", "OPTIONS"))
    return await verb(request, caller, engine)


def _has_body(request: Request) -> bool:
    headers = request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


async def _completed(upload: Upload, caller: Caller, engine: Engine) -> Upload:
    """The upload, completed if all of its bytes are there (Rule 2 of the package)."""
    if upload.pieces:
        return await engine.joined(caller, upload)
    if upload.state is State.RECEIVING and upload.is_whole and not upload.is_piece:
        return await engine.complete(caller, upload.id)
    return upload
