"""An application that pours bodies, for any ASGI server: alone, and behind a middleware."""

from __future__ import annotations

import hashlib

from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from wherry.core.errors import LengthRequired
from wherry.core.limits import LARGEST_SIZE
from wherry.protocols.bodies import body_of


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        await _started(receive, send)
        return
    request = Request(scope, receive, send)
    timeout = float(request.query_params.get("timeout", "60"))
    got = bytearray()
    async with body_of(request, timeout, "file") as body:
        if not body.is_announced:
            await body.bound(LARGEST_SIZE, LengthRequired())
        ended = await body.pour(got.extend, body.remaining)
    print("ended:", ended.value, len(got), flush=True)  # noqa: T201 - to the log of the test
    digest = hashlib.sha256(got).hexdigest()
    answer = {"size": len(got), "sha256": digest, "ended": ended.value}
    await JSONResponse(answer)(scope, receive, send)


async def _started(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _pass_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


behind = BaseHTTPMiddleware(plain, dispatch=_pass_on)
