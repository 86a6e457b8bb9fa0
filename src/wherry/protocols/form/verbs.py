"""The verb of the ordinary upload."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from wherry.core.errors import BadRequest
from wherry.core.requests import Caller
from wherry.core.upload import Upload
from wherry.engine import Engine
from wherry.protocols.answers import JsonAnswer
from wherry.protocols.bodies import RequestBody, body_of
from wherry.protocols.digests import parse_digest
from wherry.protocols.form.models import parse_key, parse_upload
from wherry.protocols.paths import note_arrival
from wherry.protocols.whole import largest_file, render_upload

#: The field of a form that has the file.
FILE_FIELD = "file"


async def upload(request: Request, caller: Caller, engine: Engine) -> Response:
    key = parse_key(request)
    async with body_of(
        request,
        engine.settings.chunk_timeout,
        FILE_FIELD,
        is_distant=engine.is_storage_distant,
        in_memory=engine.receives_in_memory,
    ) as body:
        done = await _receive(request, caller, engine, body, key)
        has_arrived = body.is_whole  # not that of a repeated request
    if has_arrived:
        note_arrival(request, caller, engine)
    return JsonAnswer(render_upload(done), 200 if done.is_complete() else 202)


async def _receive(
    request: Request, caller: Caller, engine: Engine, body: RequestBody, key: str | None
) -> Upload:
    if not body.is_announced:
        await body.bound(*largest_file(request, caller, engine))
    try:
        create = parse_upload(request, body, caller.max_size(engine.settings.max_size))
    except BadRequest:
        # A client that only asks what its key has led to sends no file, and names none.
        if key is None or body.form is not None or body.remaining:
            raise
        done = await engine.repeated(caller, key)
        if done is None:
            problem = "nothing has come of this key: send the file"
            raise BadRequest("idempotency-key", problem) from None
        return done
    sent = request.headers.get("content-digest") if body.form is None else None
    digest = parse_digest(sent, "content-digest") if sent else None
    return await engine.receive(caller, create, body, digest=digest, key=key)
