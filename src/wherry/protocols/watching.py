"""What monitoring asks: the numbers, and whether uploads can be taken now."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from wherry.core.requests import Caller
from wherry.engine import Engine
from wherry.metrics import CONTENT_TYPE
from wherry.protocols.problem import TYPE, ProblemResponse

NOT_STORED = {"Cache-Control": "no-store"}


async def metrics(request: Request, caller: Caller, engine: Engine) -> Response:
    content = await engine.metrics(caller)
    headers = {"Content-Type": CONTENT_TYPE, **NOT_STORED}
    if request.scope.get("http_version", "").startswith("1"):
        # Of several processes, the next scrape should be able to meet another one.
        headers["Connection"] = "close"
    return Response(content, headers=headers)


async def ready(engine: Engine, others: Sequence[str] = ()) -> Response:
    """200, or 503 with what is wrong. It is for load balancers: anybody may ask.

    `others`: what is wrong outside of the engine, a sentence each.
    """
    if problems := (*await engine.unready(), *others):
        return ProblemResponse(render_unready(problems), 503, NOT_STORED)
    return JSONResponse({"status": "ready"}, headers=NOT_STORED)


def render_unready(problems: Sequence[str]) -> dict[str, object]:
    return {
        "type": TYPE.format(code="not-ready"),
        "title": "Service Unavailable",
        "status": 503,
        "detail": " ".join(problems),
        "code": "not-ready",
        "retryable": True,
        "hint": "Uploads that are open lose nothing. Ask again.",
        "problems": list(problems),
    }
