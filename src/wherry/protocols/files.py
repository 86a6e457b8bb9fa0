"""What came of an upload: the finished bytes, the assessment, its pictures.

Rule 1: uploaded bytes are never shown as a page of ours: always an attachment,
never sniffed, sandboxed.
"""

from __future__ import annotations

import re
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from wherry.core.assessment import Assessment, Step
from wherry.core.errors import NotThere
from wherry.core.requests import Caller
from wherry.core.worker import Worker
from wherry.engine import Engine
from wherry.protocols.parsing import parse_id

SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-store",
}

_PICTURE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\.(jpg|png|webp|vtt)")


async def get_file(request: Request, caller: Caller, engine: Engine) -> Response:
    upload, path = await engine.finished(caller, parse_id(request.path_params["upload_id"]))
    try:
        stat = await anyio.Path(path).stat()
    except FileNotFoundError:
        raise NotThere from None
    return FileResponse(
        path,
        stat_result=stat,
        media_type="application/octet-stream",
        filename=upload.filename,
        content_disposition_type="attachment",
        headers=SAFE_HEADERS,
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
    name = request.path_params["name"]
    if not _PICTURE.fullmatch(name):
        raise NotThere
    path = await engine.picture(caller, parse_id(request.path_params["assessment_id"]), name)
    return FileResponse(path, headers=SAFE_HEADERS)


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
