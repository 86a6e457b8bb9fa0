"""Where the body of a request is read from: the one place that chooses its source.

Rule 1: a body that the server offers beside ASGI is taken (`offer`). A form never is, because the
parser of a form needs to see its bytes; nor is a body that is wanted in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from starlette.requests import Request

from wherry.protocols.bodies.asgi import AsgiSource
from wherry.protocols.bodies.form import FormFile
from wherry.protocols.bodies.offer import offer_of
from wherry.protocols.bodies.source import RequestBody, SourceBody
from wherry.protocols.parsing import media_type, parse_content_length


@asynccontextmanager
async def body_of(
    request: Request,
    stall_timeout: float,
    file_field: str | None = None,
    *,
    is_distant: bool = False,
    in_memory: int = 0,
) -> AsyncIterator[RequestBody]:
    """The body of a request. Leaving the context stops reading.

    If its length is not announced (`Transfer-Encoding: chunked`), it has to be given a bound before
    anything else (`RequestBody.bound`).

    `stall_timeout`: the seconds within which the client must make progress (`bodies.asgi`).
    `file_field`: the field that has the file, or `ANY_FIELD`, for a verb that takes forms; a form
    is read as far as its file begins. Without `file_field`, a form is bytes like any other.
    `is_distant`: whether the bytes go over a network, where threads wait longer than for a disk.
    `in_memory`: a body of at most so many bytes is wanted in memory (`gather`).

    Raises `BadRequest`; for a form `BodyCut` and `BodyStalled`, too.
    """
    length = parse_content_length(request)
    is_form = file_field is not None and media_type(request) == "multipart/form-data"
    is_large = length is not None and length > in_memory
    offer = offer_of(request.scope) if is_large and not is_form else None
    if offer is not None and (taken := offer.take(stall_timeout, is_distant)) is not None:
        async with taken:
            yield taken
        if taken.is_whole:
            await request.receive()  # the end of the body, for all that wraps `receive`
        return
    async with AsgiSource(request.receive, length, stall_timeout) as source:
        if is_form and file_field is not None:
            file = FormFile(source, request.headers["content-type"], file_field)
            form = await file.form()
            body = SourceBody(file, form, is_announced=length is not None)
        else:
            # A client that waits for "100 Continue" is asked for its body once it is wanted.
            waits = request.headers.get("expect", "").lower() == "100-continue"
            body = SourceBody(source, may_gather=not waits, is_announced=length is not None)
        with closing(body):
            yield body
