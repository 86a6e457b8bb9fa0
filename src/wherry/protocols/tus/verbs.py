"""The verbs of tus."""

from __future__ import annotations

from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from wherry.core.errors import NotForGuests, UploadClosed
from wherry.core.requests import Caller, Write
from wherry.core.upload import State, Upload
from wherry.engine import Engine
from wherry.protocols.errors import WrongMethod
from wherry.protocols.operation import Verb
from wherry.protocols.parsing import parse_number
from wherry.protocols.resuming import PARTIAL, append, existing, limits, location_of
from wherry.protocols.tus.models import (
    ALGORITHMS,
    check_octets,
    check_version,
    description,
    extensions,
    parse_checksum,
    parse_create,
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
        "Tus-Extension": extensions(most),
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
    if has_body := _has_body(request):
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
    """Where to go on. 200, because old clients take no 204."""
    upload = await existing(request, caller, engine)
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
    if (declared := request.headers.get("upload-length")) is not None:
        length = parse_number(declared, "upload-length")
        if length != upload.length:
            upload = await engine.declare_length(caller, upload.id, length)
    upload = await append(request, upload, Write(upload.id, at, digest), caller, engine)
    upload = await _completed(upload, caller, engine)
    return Response(status_code=204, headers=progress(upload, engine))


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
    is_whole = upload.length is not None and upload.offset == upload.length
    if upload.state is State.RECEIVING and is_whole:
        return await engine.complete(caller, upload.id)
    return upload
