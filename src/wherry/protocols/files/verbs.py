"""The verbs on finished files and on assessments."""

from __future__ import annotations

from mimetypes import guess_type

from starlette.requests import Request
from starlette.responses import Response

from wherry.core.requests import Caller
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED, JsonAnswer
from wherry.protocols.files.models import render_assessment
from wherry.protocols.parsing import parse_id
from wherry.protocols.stored import OCTETS, SAFE_HEADERS, finished_response, stored_response


async def get_file(request: Request, caller: Caller, engine: Engine) -> Response:
    upload_id = parse_id(request.path_params["upload_id"])
    return await finished_response(request, caller, engine, upload_id)


async def delete_file(request: Request, caller: Caller, engine: Engine) -> Response:
    await engine.discard(caller, parse_id(request.path_params["upload_id"]))
    return Response(status_code=204)


async def get_assessment(request: Request, caller: Caller, engine: Engine) -> Response:
    assessment = await engine.assessment(caller, parse_id(request.path_params["assessment_id"]))
    worker = None if assessment.is_over else await engine.worker()
    return JsonAnswer(render_assessment(assessment, worker), headers=NOT_STORED)


async def get_picture(request: Request, caller: Caller, engine: Engine) -> Response:
    assessment_id = parse_id(request.path_params["assessment_id"])
    name = request.path_params["name"]
    picture, found = await engine.picture(caller, assessment_id, name)
    media_type = guess_type(name)[0] or OCTETS
    return await stored_response(request, picture, found, media_type, headers=SAFE_HEADERS)
