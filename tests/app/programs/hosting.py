"""An application with Wherry's router, for any ASGI server: plain, and with middleware.

Lines in the log are what `tests/app/test_host.py` looks for.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wherry.router import chunked_upload_router

logging.basicConfig(stream=sys.stderr, level=logging.INFO)


class Auditing(BaseHTTPMiddleware):
    """Reads each body, to log its length."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        logging.info("body of %d bytes", len(await request.body()))
        return await call_next(request)


class Timing(BaseHTTPMiddleware):
    """Reads no body, and only the JSON of answers."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response: Any = await call_next(request)
        if "never" in request.headers:
            await response.json()
        return response  # type: ignore[no-any-return]


class Collecting:
    """Reads every message before it calls the application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)


class Counting:
    """Wraps `receive`, and holds nothing back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted() -> Message:
            while True:
                return await receive()

        await self.app(scope, counted, send)


def application() -> FastAPI:
    host = FastAPI()
    host.include_router(
        chunked_upload_router(
            owner=lambda: "alice", data=os.environ["WHERRY_DATA"], min_free=0, assessment=False
        ),
        prefix="/api",
    )
    return host


plain = application()

watched = application()
watched.add_middleware(Counting)
watched.add_middleware(Timing)

buffering = application()
buffering.add_middleware(Collecting)
buffering.add_middleware(Auditing)
buffering.add_middleware(Counting)


@buffering.middleware("http")
async def signed(request: Request, call_next: RequestResponseEndpoint) -> Response:
    await request.body()
    return await call_next(request)
