"""What every route does around its verb: refusals, request ids, one log line.

Rule 1: nothing here reads the body. The request is authorised before the verb (in an application,
by FastAPI's dependencies), and the verb reads.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from wherry.core.errors import (
    BodyCut,
    Overloaded,
    Queued,
    RateLimited,
    Stopping,
    Superseded,
    UploadError,
    UploadGone,
)
from wherry.engine.stopping import is_server_stopping
from wherry.events import Event, log_event, request_id
from wherry.metrics import Metrics
from wherry.protocols.bodylimit import (
    MaxBody,
    Refusal,
    check_body,
    note_limit,
    route_options,
    unlimited,
)
from wherry.protocols.direct import Takes
from wherry.protocols.draining import Drained
from wherry.protocols.load import Load
from wherry.protocols.parsing import named
from wherry.protocols.problem import Render, Statuses, render_problem, status_of

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

#: Refusals that are part of ordinary use: a client goes away, cancels, sends a part again, or
#: asks while its upload waits, its rate is used up, or the server stops.
ORDINARY = (BodyCut, Queued, RateLimited, Stopping, Superseded, UploadGone)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(frozen=True, slots=True)
class Around:
    """What is done around every verb, however its route was made.

    `is_monitoring`: whether it is answered also while the server stops. `begins`: whether it
    begins an upload. `statuses`, `render`: of its refusals. `headers`: what every answer has.
    `takes`: which requests are its own; None: all.
    """

    metrics: Metrics
    load: Load
    max_body: MaxBody = None
    is_monitoring: bool = False
    begins: bool = False
    statuses: Statuses = status_of
    render: Render = render_problem
    headers: Mapping[str, str] = field(default_factory=dict)
    takes: Takes | None = None

    async def answer(self, request: Request, handle: Handler) -> Response:
        """The answer of `handle`, or its refusal: as problem+json, logged and counted."""
        wanted = request.headers.get("x-request-id", "")
        current = wanted if _REQUEST_ID.fullmatch(wanted) else secrets.token_hex(8)
        token = request_id.set(current)
        named.set("-")
        begun = time.monotonic()
        length = request.headers.get("content-length", "0")
        try:
            note_limit(request.scope, self.max_body)
            check_body(request.scope, length)
            with self.load.one_more(begins=self.begins):
                response = await self._handled(request, handle)
        except UploadError as error:
            log_event(
                Event.REFUSED,
                metrics=self.metrics,
                level=_level(error),
                code=error.code,
                status=self.statuses(type(error)),
                method=request.method,
                upload_id=named.get(),
                bytes=length,
                seconds=time.monotonic() - begun,
            )
            response = Refusal(self.render(error, self.statuses))
        finally:
            request_id.reset(token)
        response.headers.update(self.headers)
        response.headers.setdefault("X-Request-ID", current)
        if is_server_stopping() and request.scope.get("http_version", "").startswith("1"):
            # So that the next request of this client reaches another process.
            response.headers["Connection"] = "close"
        return response

    async def _handled(self, request: Request, handle: Handler) -> Response:
        """The answer of `handle`. Raises `Stopping` for a request that the server's end is for."""
        if is_server_stopping() and not self.is_monitoring:
            raise Stopping
        try:
            return await handle(request)
        except asyncio.CancelledError:
            # At the end of its time, uvicorn cancels what is left, and would answer 500.
            if not is_server_stopping():
                raise
            raise Stopping from None

    def application(self, handle: Handler) -> ASGIApp:
        """An application that answers with `handle`, without anything of FastAPI's."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            response = await self.answer(Request(scope, receive, send), handle)
            await response(scope, receive, send)

        return Drained(serve)


def _level(error: UploadError) -> int | None:
    """The level of the line about a refusal; None: that of the event."""
    if isinstance(error, Overloaded):
        return logging.DEBUG
    return logging.INFO if isinstance(error, ORDINARY) else None


class UploadRoute(APIRoute):
    """A route of FastAPI with `around` around its verb."""

    #: A default that nothing counts; `route_class` sets others.
    around: ClassVar[Around] = Around(Metrics(), Load(None))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | route_options(self.around.max_body))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        takes = self.around.takes
        return super().matches(scope) if takes is None or takes(scope) else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = Drained(super().handle)
        if self.around.max_body != "host":
            app = unlimited(app, scope)
        await app(scope, receive, send)

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_and_explain(request: Request) -> Response:
            return await self.around.answer(request, handle)

        return handle_and_explain


def route_class(around: Around, base: type[UploadRoute] = UploadRoute) -> type[UploadRoute]:
    """A class of routes with `around`: FastAPI makes the routes from the class alone."""
    return type("UploadRoute", (base,), {"around": around})
