"""Refusals as problem+json: https://www.rfc-editor.org/rfc/rfc9457

Rule 1: one table from error to status, and a test that it has no hole.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse

from wherry.core import errors
from wherry.core.errors import UploadError

STATUS: Mapping[type[UploadError], int] = {
    errors.BadRequest: 400,
    errors.LengthRequired: 411,
    errors.Unauthorized: 401,
    errors.KeysUnreadable: 503,
    errors.ForeignOrigin: 403,
    errors.UploadNotFound: 404,
    errors.NotThere: 404,
    errors.WrongMethod: 405,
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


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


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
    if isinstance(error, errors.WrongMethod):
        headers["Allow"] = ", ".join(error.allowed)
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return ProblemResponse(facts | content, status, headers)
