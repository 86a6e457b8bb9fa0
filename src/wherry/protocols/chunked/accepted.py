"""Which files the server accepts, for clients that check a file before they send it.

Rule 1: this is an announcement. The engine checks every file, whatever a client has checked.
"""

from __future__ import annotations

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from wherry.core.requests import Caller
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED, JsonAnswer


class AcceptedFiles(BaseModel):
    max_size: int | None = Field(description="Bytes of the largest file; null is no limit.")
    allowed_types: list[str] = Field(
        description="Media types, like `video/*`; empty is any. The first bytes of a file decide."
    )


async def accepted(request: Request, caller: Caller, engine: Engine) -> Response:
    return JsonAnswer(render_accepted(engine), headers=NOT_STORED)


def render_accepted(engine: Engine) -> AcceptedFiles:
    settings = engine.settings
    return AcceptedFiles(max_size=settings.max_size, allowed_types=list(settings.allowed_types))
