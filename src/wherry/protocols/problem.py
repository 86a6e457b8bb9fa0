"""Refusals as problem+json: https://www.rfc-editor.org/rfc/rfc9457

Rule 1: one table from error to status, and a test that it has no hole.

Rule 2: a refusal is readable even while its request is still being sent: what
comes is read and thrown away for a moment before the connection is closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import anyio
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from wherry.core import errors
from wherry.core.errors import UploadError
from wherry.core.limits import KiB, MiB

STATUS: Mapping[type[UploadError], int] = {
    errors.BadRequest: 400,
    errors.LengthRequired: 411,
    errors.Unauthorized: 401,
    errors.KeysUnreadable: 503,
    errors.ForeignOrigin: 403,
    errors.UploadNotFound: 404,
    errors.NotThere: 404,
    errors.UploadClosed: 409,
    errors.UploadGone: 410,
    errors.RangeOutside: 400,
    errors.LengthMismatch: 409,
    errors.ChunkTooSmall: 400,
    errors.TooFragmented: 409,
    errors.TooLarge: 413,
    errors.NeverFits: 507,
    errors.NoRoom: 503,
    errors.InLine: 429,
    errors.DiskFull: 507,
    errors.StorageFailed: 500,
    errors.DigestMismatch: 422,
    errors.FileDigestMismatch: 422,
    errors.DigestDiffers: 409,
    errors.TypeRefused: 415,
    errors.ContentRefused: 422,
    errors.BytesMissing: 409,
    errors.BodyCut: 400,
    errors.BodyStalled: 408,
    errors.Superseded: 409,
    errors.Busy: 503,
    errors.HookFailed: 500,
    errors.HookEndsServer: 500,
}

TYPE = "urn:wherry:problem:{code}"

#: How much of a refused body is read and thrown away, and for how long, in bytes and seconds.
LINGER_BYTES, LINGER_SECONDS = 64 * MiB, 2.0
STRANGERS_LINGER_BYTES = 64 * KiB


class ProblemResponse(JSONResponse):
    """`unread` is where the rest of the refused request comes from, None if it is all read."""

    media_type = "application/problem+json"
    unread: Receive | None = None
    linger: int = LINGER_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.unread is None:
            return await super().__call__(scope, receive, send)
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start"} | start)
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await _drain(self.unread, self.linger)
        return await send({"type": "http.response.body", "body": b""})


async def _drain(receive: Receive, left: int) -> None:
    with anyio.move_on_after(LINGER_SECONDS):
        while left > 0:
            message = await receive()
            left -= len(message.get("body", b""))
            if not message.get("more_body", False):
                return


def render_problem(error: UploadError) -> ProblemResponse:
    """`{type, title, status, detail, code, retryable, hint, ...facts}`."""
    status = STATUS[type(error)]
    facts = error.facts()
    content = {
        "type": TYPE.format(code=error.code),
        "title": HTTPStatus(status).phrase if status != 413 else "Content Too Large",
        "status": status,
        "detail": str(error),
        "code": error.code,
        "retryable": error.retryable,
        "hint": error.hint,
    }
    headers = {"Cache-Control": "no-store"}
    if "retry_after" in facts:
        headers["Retry-After"] = str(facts["retry_after"])
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    response = ProblemResponse(facts | content, status, headers)
    if isinstance(error, errors.Unauthorized | errors.ForeignOrigin):
        response.linger = STRANGERS_LINGER_BYTES
    return response
