"""The verbs of resumable uploads."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from wherry.core.errors import BadRequest, LengthMismatch, RangeOutside, UploadClosed
from wherry.core.requests import Caller, Write
from wherry.core.upload import Upload
from wherry.engine import Engine
from wherry.protocols.answers import JsonAnswer
from wherry.protocols.bodies import body_of
from wherry.protocols.errors import WrongMediaType
from wherry.protocols.ietf.interim import Interim, dropping
from wherry.protocols.ietf.models import (
    check_bare,
    description,
    is_complete,
    is_partial,
    parse,
    parse_body_digest,
    parse_create,
    progress,
)
from wherry.protocols.paths import note_arrival
from wherry.protocols.resuming import PARTIAL, append, existing, limits, location_of
from wherry.protocols.waiting import unhurried
from wherry.protocols.whole import largest_file, render_upload


async def options(request: Request, caller: Caller, engine: Engine) -> Response:
    """What may be uploaded."""
    headers = {"Accept-Patch": PARTIAL, **limits(request, caller, engine)}
    return Response(status_code=204, headers=headers)


@dropping
@unhurried
async def create(request: Request, caller: Caller, engine: Engine) -> Response:
    """Begin an upload; the request may bring its first bytes, or all of them."""
    exchange = Exchange(request, caller, engine)
    if exchange.asked.is_last and not exchange.interim.is_possible:
        return await exchange.whole()
    wanted = parse_create(request, exchange.asked, caller, engine)
    upload, _ = await engine.create(caller, wanted)
    located = {"Location": location_of(request, upload.id)}
    await exchange.interim.send(located | exchange.limits(upload))
    upload = await exchange.bring(upload)
    answer = exchange.answer(upload, 201)
    answer.headers.update(located)
    return answer


async def retrieve(request: Request, caller: Caller, engine: Engine) -> Response:
    """Where to go on."""
    version = parse(request).version
    check_bare(request, version)
    upload = await existing(request, caller, engine)
    told = description(upload, version) | limits(request, caller, engine, upload, version.lifetime)
    return Response(status_code=204, headers=told)


@dropping
@unhurried
async def patch(request: Request, caller: Caller, engine: Engine) -> Response:
    """Append bytes, and complete the upload with the last ones."""
    exchange = Exchange(request, caller, engine)
    offset = exchange.check_patch()
    upload = await existing(request, caller, engine)
    upload.check_offset(offset)
    if is_complete(upload):
        return await exchange.again(upload)
    upload = await exchange.bring(await exchange.measure(upload))
    return exchange.answer(upload, 204)


async def delete(request: Request, caller: Caller, engine: Engine) -> Response:
    """Cancel the upload. A complete one is a file, and no upload any more."""
    check_bare(request, parse(request).version)
    upload = await existing(request, caller, engine)
    await engine.cancel(caller, upload.id)
    return Response(status_code=204)


class Exchange:
    """One request that brings bytes, and its answer."""

    def __init__(self, request: Request, caller: Caller, engine: Engine) -> None:
        self._request, self._caller, self._engine = request, caller, engine
        self.asked = parse(request)
        self.interim = Interim(request, self.asked, engine)

    def check_patch(self) -> int:
        """The offset. Raises `WrongMediaType`, `BadRequest`."""
        if self.asked.version.needs_type and not is_partial(self._request):
            raise WrongMediaType(PARTIAL)
        if self.asked.offset is None:
            raise BadRequest("upload-offset", "is missing, or no whole number of bytes")
        if self.asked.is_last is None:
            raise BadRequest("upload-complete", "is missing, or neither ?0 nor ?1")
        return self.asked.offset

    async def whole(self) -> Response:
        """An ordinary upload: the client could not go on, because it learns of no address."""
        request, engine = self._request, self._engine
        wanted = parse_create(request, self.asked, self._caller, engine)
        digest = parse_body_digest(request)
        async with body_of(
            request,
            engine.settings.chunk_timeout,
            is_distant=engine.is_storage_distant,
            in_memory=engine.receives_in_memory,
        ) as body:
            if not body.is_announced:
                await body.bound(*largest_file(request, self._caller, engine))
            upload = await engine.receive(self._caller, wanted, body, digest=digest)
        note_arrival(request, self._caller, engine)
        return self.answer(upload, 201)

    async def measure(self, upload: Upload) -> Upload:
        """The upload with the length that the request tells.

        Raises `LengthMismatch`; `RangeOutside` for bytes beyond the length.
        """
        length = self.asked.whole(self._request, upload.offset)
        if length is None or length == upload.length:
            return upload
        if upload.length is None:
            return await self._engine.declare_length(self._caller, upload.id, length)
        if self.asked.length is None and length > upload.length:
            await self._end(upload)
            raise RangeOutside(upload.offset, length, upload.length)
        raise LengthMismatch(declared=upload.length, provided=length)

    async def bring(self, upload: Upload) -> Upload:
        """The upload with what the request brings; completed if that is the last of it."""
        request, caller, engine = self._request, self._caller, self._engine
        write = Write(upload.id, upload.offset, parse_body_digest(request))
        try:
            async with self.interim.telling(upload, caller, engine):
                upload = await append(request, upload, write, caller, engine)
        except RangeOutside:
            await self._end(upload)
            raise
        if not self.asked.is_last:
            return upload
        if upload.length is None:
            upload = await engine.declare_length(caller, upload.id, upload.offset)
        return await engine.complete(caller, upload.id)

    async def again(self, upload: Upload) -> Response:
        """The answer of the completion, for a client that has not got it.

        Raises `UploadClosed` if the request has bytes, or does not complete the upload.
        """
        if (
            not self.asked.is_last
            or self.asked.whole(self._request, upload.offset) != upload.length
        ):
            raise UploadClosed(upload.state.value)
        return self.answer(await self._engine.complete(self._caller, upload.id), 200)

    async def _end(self, upload: Upload) -> None:
        """Bytes beyond the length end the upload, where the protocol wants that."""
        if self.asked.version.ends_beyond:
            await self._engine.cancel(self._caller, upload.id)

    def limits(self, upload: Upload) -> dict[str, str]:
        lifetime = self.asked.version.lifetime
        return limits(self._request, self._caller, self._engine, upload, lifetime)

    def answer(self, upload: Upload, status: int) -> Response:
        """That of the ordinary upload, if the client has said that it is complete.

        `status`: of an incomplete one.
        """
        told = progress(upload, self.asked.version) | self.limits(upload)
        if not is_complete(upload):
            return Response(status_code=status, headers=told)
        status = 200 if upload.is_complete() else 202
        return JsonAnswer(render_upload(upload), status, told)
