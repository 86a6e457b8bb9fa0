"""A whole file in one request, for all protocols that take one: its size, and its answer."""

from __future__ import annotations

from pydantic import BaseModel
from starlette.requests import Request

from wherry.core.errors import LengthRequired, TooLarge, UploadError
from wherry.core.requests import Caller
from wherry.core.upload import Upload
from wherry.engine import Engine
from wherry.protocols.bodies import SHORT
from wherry.protocols.bodylimit import largest_chunk
from wherry.protocols.openapi import Completion, Id


def largest_file(request: Request, caller: Caller, engine: Engine) -> tuple[int, UploadError]:
    """The most that a file of unknown length may have, and why it may not have more.

    That much space is reserved for it while it comes. So where there is no limit, a file may not
    have more than what is read before anything is reserved.
    """
    limits = (caller.max_size(engine.settings.max_size), largest_chunk(request.scope))
    most = min((limit for limit in limits if limit is not None), default=None)
    return (SHORT, LengthRequired()) if most is None else (most, TooLarge(most, most + 1))


def reckoned(length: int, max_size: int | None) -> int:
    """The most that a form's file can have: two bytes more if no line break ends the form."""
    return length + 2 if max_size is None else max(length, min(length + 2, max_size))


class Uploaded(BaseModel):
    """What came of a file."""

    upload_id: Id
    assessment_id: str | None
    state: Completion
    size: int


def render_upload(upload: Upload) -> Uploaded:
    return Uploaded(
        upload_id=upload.id,
        assessment_id=upload.assessment_id,
        state=upload.state.value,
        size=upload.received.size,
    )
