"""What came of an upload: the finished bytes, the assessment, its pictures.

Rule 1: uploaded bytes are never shown as a page of ours: always an attachment,
never sniffed, sandboxed.
"""

from __future__ import annotations

from mimetypes import guess_type
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from wherry.core.assessment import Assessment, Step
from wherry.core.requests import Caller
from wherry.core.worker import Worker
from wherry.engine import Engine
from wherry.protocols.parsing import parse_id
from wherry.protocols.stored import stored_response

SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-store",
}

OCTETS = "application/octet-stream"


async def get_file(request: Request, caller: Caller, engine: Engine) -> Response:
    upload, file, found = await engine.finished(caller, parse_id(request.path_params["upload_id"]))
    return await stored_response(
        request, file, found, OCTETS, headers=SAFE_HEADERS, filename=upload.filename
    )


async def delete_file(request: Request, caller: Caller, engine: Engine) -> Response:
    await engine.discard(caller, parse_id(request.path_params["upload_id"]))
    return Response(status_code=204)


async def get_assessment(request: Request, caller: Caller, engine: Engine) -> Response:
    assessment = await engine.assessment(caller, parse_id(request.path_params["assessment_id"]))
    worker = None if assessment.is_over else await engine.worker()
    content = render_assessment(assessment, worker)
    return JSONResponse(content, headers={"Cache-Control": "no-store"})


async def get_picture(request: Request, caller: Caller, engine: Engine) -> Response:
    assessment_id, name = (
        parse_id(request.path_params["assessment_id"]),
        request.path_params["name"],
    )
    picture, found = await engine.picture(caller, assessment_id, name)
    media_type = guess_type(name)[0] or OCTETS
    return await stored_response(request, picture, found, media_type, headers=SAFE_HEADERS)


def render_assessment(assessment: Assessment, worker: Worker | None) -> dict[str, Any]:
    """`worker`: how the one is that has to do it, while it is not over."""
    return {
        "assessment_id": assessment.id,
        "upload_id": assessment.upload_id,
        "state": assessment.state.value,
        "steps": [render_step(step) for step in assessment.steps],
        "report": assessment.report,
        "problem": assessment.problem,
        "worker": worker and {"state": worker.state.value, "problem": worker.problem},
    }


def render_step(step: Step) -> dict[str, Any]:
    return {"name": step.name, "state": step.state, "seconds": step.seconds}
