"""A short way to the operations of the standalone server, past FastAPI's routing.

FastAPI tries one route after the other, and resolves dependencies for each request, which costs
more than most requests do. In an application, its routes and dependencies must be used. Our own
server knows who may call what, so it looks an operation up here.

Rule 1: this only saves time. Every operation is a route of FastAPI as well, with the same
answers: for OpenAPI, and for what `Direct` passes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

#: Which requests at an address are an operation's own.
Takes = Callable[[Scope], bool]


@dataclass(frozen=True, slots=True)
class Address:
    """Where an application answers: `path` as routes have it, `{name}` for one of its segments.

    `takes`: which requests there are its own; None: all that none before it takes.
    """

    method: str
    path: str
    app: ASGIApp
    takes: Takes | None = None


class Direct:
    """A middleware that gives a request to the operation at its address, or else passes it on."""

    def __init__(self, app: ASGIApp, addresses: Iterable[Address]) -> None:
        self._app = app
        self._fixed: dict[tuple[str, str], list[Address]] = {}
        self._open: dict[str, list[tuple[re.Pattern[str], Address]]] = {}
        for each in addresses:
            # RFC 9110, section 9.3.2: HEAD is GET without the content
            for method in ("GET", "HEAD") if each.method == "GET" else (each.method,):
                if "{" in each.path:
                    pattern = compile_path(each.path)[0]
                    self._open.setdefault(method, []).append((pattern, each))
                else:
                    self._fixed.setdefault((method, each.path), []).append(each)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and not scope.get("root_path"):
            app = self._find(scope) or app
        await app(scope, receive, send)

    def _find(self, scope: Scope) -> ASGIApp | None:
        method, path = scope["method"], scope["path"]
        for each in self._fixed.get((method, path), ()):
            if each.takes is None or each.takes(scope):
                scope["path_params"] = {}
                return each.app
        for pattern, each in self._open.get(method, ()):
            found = pattern.match(path)
            if found is not None and (each.takes is None or each.takes(scope)):
                scope["path_params"] = found.groupdict()
                return each.app
        return None
