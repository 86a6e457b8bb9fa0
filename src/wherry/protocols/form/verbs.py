"""The verb of the ordinary upload."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from wherry.core.requests import Caller
from wherry.engine import Engine
from wherry.protocols.answers import JsonAnswer
from wherry.protocols.bodies import body_of
from wherry.protocols.form.models import parse_upload, render_upload

#: The field of a form that has the file.
FILE_FIELD = "file"


async def upload(request: Request, caller: Caller, engine: Engine) -> Response:
    async with body_of(request, engine.settings.chunk_timeout, FILE_FIELD) as body:
        create = parse_upload(request, body, engine.settings.max_size)
        done = await engine.receive(caller, create, body)
    return JsonAnswer(render_upload(done), 200 if done.is_complete() else 202)
