"""Informational responses (1xx), which come before the answer of a request.

The body lane offers them. gunicorn 27 has a message for them in its worker `asgi`, and names it in
no extension of the scope.

Rule 1: under gunicorn, such a message goes past all middlewares. Starlette's `BaseHTTPMiddleware`
fails at it, and others may. So it is given to gunicorn's own `send`, which is found on the stack; a
middleware that runs the application in a task of its own hides it, and then nothing is sent.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType

from starlette.requests import Request
from starlette.types import Send

from wherry.protocols.bodies.offer import offer_of

_GUNICORN = "gunicorn.asgi.protocol"


class Informing:
    """Sends them for one request. Make it in the task of that request."""

    def __init__(self, request: Request) -> None:
        self._offer = offer_of(request.scope)
        self._send = _gunicorns_send() if self._offer is None else None
        is_able = self._offer is not None or self._send is not None
        self.is_possible = is_able and request.scope["http_version"] == "1.1"

    async def send(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether it was sent. Call it before the answer begins."""
        if self._offer is not None:
            return self._offer.send_interim(status, headers)
        if self._send is None or not self.is_possible:
            return False
        message = {"type": "http.response.informational", "status": status, "headers": headers}
        await self._send(message)
        return True


def _gunicorns_send() -> Send | None:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == _GUNICORN and "send" in frame.f_locals:
            can_inform = hasattr(frame.f_locals.get("self"), "_send_informational")
            send: Send | None = frame.f_locals["send"] if can_inform else None
            return send
        frame = frame.f_back
    return None
