"""The largest body that our routes take, where the application around has a limit, too.

FastAPI (since 0.164) and Starlette (since 1.6) have `max_body_size` on application, router and
route. The innermost counts, and a larger body is answered 413 in plain text.

Rule 1: our routes have no such limit but the one that `max_body` names. Each verb has its own
limit for its kind of body.

Rule 2: whichever limit is in force, the refusal is ours, as problem+json.
"""

from __future__ import annotations

import inspect
from typing import Any, Literal

from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from wherry.core.errors import TooLarge
from wherry.core.limits import FORM_OVERHEAD, LARGEST_SIZE

try:
    from starlette.middleware.body_limit import RequestBodyLimitMiddleware
except ImportError:  # Starlette before 1.6
    RequestBodyLimitMiddleware = None  # type: ignore[assignment,misc]

#: None: no limit but the verbs' own. `host`: the limit of the application around.
MaxBody = int | Literal["host"] | None

_STARLETTES = "starlette.max_body_size"
_OURS = "wherry.max_body"
_FASTAPI_HAS_ONE = "max_body_size" in inspect.signature(APIRoute.__init__).parameters


def route_options(max_body: MaxBody) -> dict[str, Any]:
    """The arguments of `APIRoute` that keep the application's limit from the route."""
    return {"max_body_size": LARGEST_SIZE} if _FASTAPI_HAS_ONE and max_body != "host" else {}


def unlimited(app: ASGIApp, scope: Scope) -> ASGIApp:
    """The application, without the limit of Starlette's that is in force for this request."""
    if RequestBodyLimitMiddleware is None or _STARLETTES not in scope:
        return app
    return RequestBodyLimitMiddleware(app, max_body_size=LARGEST_SIZE)


def note_limit(scope: Scope, max_body: MaxBody) -> None:
    """Store the limit in force for `check_body` and `largest_chunk`."""
    scope[_OURS] = scope.get(_STARLETTES) if max_body == "host" else max_body


def check_body(scope: Scope, length: str) -> None:
    """Raises `TooLarge` for a body that is longer than the limit in force."""
    limit = scope.get(_OURS)
    if limit is not None and length.isdigit() and int(length) > limit:
        raise TooLarge(limit, int(length), scope="request")


def largest_chunk(scope: Scope) -> int | None:
    """The largest chunk, in bytes, whose request is within the limit in force, form included."""
    limit = scope.get(_OURS)
    return None if limit is None else max(limit - FORM_OVERHEAD, 1)


class Refusal(Response):
    """A refusal of ours, which Starlette would replace by its own for a long body."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.body, response.status_code)
        self.raw_headers = response.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await unlimited(super().__call__, scope)(scope, receive, send)
