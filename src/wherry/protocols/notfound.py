"""The not-found route: unknown addresses, and methods that an address does not take.

Without it, the application around would answer them, in a form of its own and without an
`X-Request-ID`.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from wherry.core.errors import NotThere
from wherry.protocols.errors import WrongMethod

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def allowed_methods(routes: Sequence[BaseRoute], path: str) -> tuple[str, ...]:
    """The methods that any of the routes takes at this path."""

    def is_taken(method: str) -> bool:
        scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    return tuple(method for method in METHODS if is_taken(method))


class NotFound:
    """The endpoint of a last route `/{rest:path}`, behind all others."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = tuple(routes)

    async def __call__(self, request: Request) -> Response:
        """Raises `NotThere` or `WrongMethod`."""
        path = f"/{request.path_params['rest']}"
        if methods := allowed_methods(self._routes, path):
            raise WrongMethod(methods)
        raise NotThere
