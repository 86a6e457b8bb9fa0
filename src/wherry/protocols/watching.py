"""What monitoring asks for: metrics, and whether the server can take uploads now."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from wherry.core.errors import NotThere
from wherry.core.requests import Caller
from wherry.engine import Engine
from wherry.metrics import CONTENT_TYPE
from wherry.protocols.answers import NOT_STORED
from wherry.protocols.operation import Operation
from wherry.protocols.problem import TYPE, Problem, ProblemResponse


async def metrics(request: Request, caller: Caller, engine: Engine) -> Response:
    content = await engine.metrics(caller)
    headers = {"Content-Type": CONTENT_TYPE, **NOT_STORED}
    if request.scope.get("http_version", "").startswith("1"):
        # So that the next scrape may reach another process of the same server.
        headers["Connection"] = "close"
    return Response(content, headers=headers)


async def ready(engine: Engine, others: Sequence[str] = ()) -> Response:
    """200, or 503 with what is wrong. For load balancers, so it needs no key.

    `others`: what is wrong outside of the engine, a sentence each.
    """
    if problems := (*await engine.unready(), *others):
        return ProblemResponse(render_unready(problems), 503, NOT_STORED)
    return JSONResponse({"status": "ready"}, headers=NOT_STORED)


def render_unready(problems: Sequence[str]) -> Problem:
    facts = {
        "type": TYPE.format(code="not-ready"),
        "title": "Service Unavailable",
        "status": 503,
        "detail": " ".join(problems),
        "code": "not-ready",
        "retryable": True,
        "hint": "Open uploads lose nothing. Try again later.",
        "problems": list(problems),
    }
    return Problem.model_validate(facts)


ROUTES = (
    Operation(
        "GET",
        "/metrics",
        "metrics",
        metrics,
        "Metrics for Prometheus, for operators",
        {200: ("text/plain", None)},
        (NotThere,),
        is_operators=True,
    ),
)
