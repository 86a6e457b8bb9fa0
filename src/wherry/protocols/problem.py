"""Refusals as problem+json: https://www.rfc-editor.org/rfc/rfc9457

Rule 1: one table from error to status; a test fails while an error is missing in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from wherry.core import errors
from wherry.core.errors import UploadError
from wherry.protocols.answers import NOT_STORED, JsonAnswer
from wherry.protocols.errors import WrongMediaType, WrongMethod, WrongVersion
from wherry.protocols.hints import HINTS

STATUS: Mapping[type[UploadError], int] = {
    errors.BadRequest: 400,
    errors.LengthRequired: 411,
    errors.Unauthorized: 401,
    errors.KeysUnreadable: 503,
    errors.ForeignOrigin: 403,
    errors.TicketExpired: 403,
    errors.TicketRevoked: 403,
    errors.TicketUsedUp: 403,
    errors.NotForGuests: 403,
    errors.UploadNotFound: 404,
    errors.NotThere: 404,
    WrongMethod: 405,
    WrongMediaType: 415,
    WrongVersion: 412,
    errors.UploadClosed: 409,
    errors.UploadGone: 410,
    errors.MadeOfPieces: 409,
    errors.OffsetDiffers: 409,
    errors.RangeOutside: 400,
    errors.LengthMismatch: 409,
    errors.ChunkTooSmall: 400,
    errors.TooFragmented: 409,
    errors.TooLarge: 413,
    errors.NeverFits: 507,
    errors.NoRoom: 503,
    errors.Queued: 429,
    errors.RateLimited: 429,
    errors.DiskFull: 507,
    errors.StorageFailed: 500,
    errors.DigestMismatch: 422,
    errors.FileDigestMismatch: 422,
    errors.DigestDiffers: 409,
    errors.TypeRefused: 415,
    errors.ContentRefused: 422,
    errors.BytesMissing: 409,
    errors.PartsMissing: 409,
    errors.BodyCut: 400,
    errors.BodyStalled: 408,
    errors.Superseded: 409,
    errors.Busy: 409,
    errors.Overloaded: 503,
    errors.Stopping: 503,
    errors.HookFailed: 500,
    errors.HookEndsServer: 500,
}

#: The status of each kind of refusal, in one protocol.
Statuses = Callable[[type[UploadError]], int]

#: The phrases that RFC 9110 has and Python's table has not, and that of tus.
_PHRASES = {413: "Content Too Large", 460: "Checksum Mismatch"}

TYPE = "urn:wherry:problem:{code}"
#: The header that every refusal of ours has, with its code. Proxies answer without it.
MARKER = "Wherry-Error"


class Problem(BaseModel):
    """A refusal: RFC 9457, and what a client needs to go on. More facts stand beside these."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(json_schema_extra={"format": "uri"})
    title: str
    status: int
    detail: str
    code: str = Field(description="Never changes; `detail` and `hint` may.")
    retryable: bool = Field(description="Whether the same request may succeed later.")
    hint: str = Field(description="What is safe, and what to do next.")


class ProblemResponse(JsonAnswer):
    media_type = "application/problem+json"

    def __init__(
        self, problem: Problem, status: int, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(problem, status, {**(headers or {}), MARKER: problem.code})


#: The refusal of one protocol.
Render = Callable[[UploadError, Statuses], ProblemResponse]


def status_of(error: type[UploadError]) -> int:
    return STATUS[error]


def render_problem(
    error: UploadError,
    statuses: Statuses = status_of,
    kind: str | None = None,
    more: Mapping[str, object] = MappingProxyType({}),
) -> ProblemResponse:
    """`statuses`: of a protocol whose clients understand others than `STATUS` has.

    `kind`, `more`: the type of the problem and the members that a protocol has for it.
    """
    status, facts = statuses(type(error)), error.facts()
    problem = {
        "type": kind or TYPE.format(code=error.code),
        "title": _PHRASES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "detail": str(error),
        "code": error.code,
        "retryable": error.retryable,
        "hint": HINTS[type(error)],
    }
    headers = dict(NOT_STORED)
    if "retry_after" in facts:
        headers["Retry-After"] = str(facts["retry_after"])
    if isinstance(error, errors.OffsetDiffers):
        headers["Upload-Offset"] = str(error.offset)
    if isinstance(error, WrongMethod):
        headers["Allow"] = ", ".join(error.allowed)
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return ProblemResponse(Problem.model_validate({**facts, **more, **problem}), status, headers)
