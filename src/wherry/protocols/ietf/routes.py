"""The operations of resumable uploads, for the router and for OpenAPI.

They stand where ordinary uploads go (`ROUTES`), and where tus clients go (`AT_TUS`): there, the
headers of a request say which protocol it speaks.
"""

from __future__ import annotations

from dataclasses import replace

from wherry.core import errors
from wherry.core.errors import UploadError
from wherry.protocols.errors import WrongMediaType
from wherry.protocols.ietf import verbs
from wherry.protocols.ietf.models import begins, is_spoken
from wherry.protocols.openapi import BINARY, header
from wherry.protocols.operation import Operation
from wherry.protocols.problem import STATUS, ProblemResponse, Statuses, render_problem
from wherry.protocols.resuming import PARTIAL
from wherry.protocols.whole import Uploaded

#: Refusals that have another status here. 413 asks for a smaller request, 409 for the offset.
_STATUS = {errors.UploadGone: 404, errors.NeverFits: 413, errors.RangeOutside: 400}
_TYPES = "https://iana.org/assignments/http-problem-types#"
#: Refusals that have a type of problem in the drafts.
_TYPE = {
    errors.OffsetDiffers: "mismatching-upload-offset",
    errors.LengthMismatch: "inconsistent-upload-length",
    errors.RangeOutside: "inconsistent-upload-length",
    errors.BytesMissing: "inconsistent-upload-length",
    errors.UploadClosed: "completed-upload",
}
#: Refusals of the file itself, which end the upload.
_FINAL = (errors.TypeRefused, errors.ContentRefused, errors.FileDigestMismatch)


def status_of(error: type[UploadError]) -> int:
    """409 only for a wrong offset; a status that clients repeat only if that may help."""
    if (status := _STATUS.get(error)) is not None:
        return status
    status = STATUS[error]
    if error is errors.OffsetDiffers:
        return status
    if error.retryable:
        return status if status >= 500 or status == 429 else 503
    return 400 if status == 409 else status


def render(error: UploadError, statuses: Statuses) -> ProblemResponse:
    """A refusal as problem+json, with the type and the headers that the drafts want."""
    kind, more = _TYPE.get(type(error)), {}
    if isinstance(error, errors.OffsetDiffers):
        more = {"expected-offset": error.offset, "provided-offset": error.provided}
    found = render_problem(error, statuses, kind and _TYPES + kind, more)
    found.headers["Upload-Complete"] = "?1" if isinstance(error, _FINAL) else "?0"
    if isinstance(error, errors.TooLarge):
        key = "max-append-size" if error.scope == "request" else "max-size"
        found.headers["Upload-Limit"] = f"{key}={error.limit}"
    return found


_INTEROP = header("Upload-Draft-Interop-Version", "3 to 9: the version of the draft.")
_COMPLETE = header("Upload-Complete", "?1 if the body ends the file, else ?0.")
_LENGTH = header("Upload-Length", "Bytes of the file.")
_DIGEST = header("Content-Digest", "Of the body (RFC 9530).")
_BYTES = (
    errors.BadRequest,
    errors.TooLarge,
    errors.LengthRequired,
    errors.LengthMismatch,
    errors.RangeOutside,
    errors.BytesMissing,
    errors.BodyCut,
    errors.BodyStalled,
    errors.DigestMismatch,
    errors.FileDigestMismatch,
    errors.TypeRefused,
    errors.ContentRefused,
    errors.DiskFull,
    errors.Busy,
    errors.Queued,
    errors.HookFailed,
    errors.HookEndsServer,
)
_GONE = (errors.UploadNotFound, errors.UploadGone)
_DONE = {
    200: ("Complete.", Uploaded),
    202: ("Still completing: ask again by an empty PATCH.", Uploaded),
}

_CREATE = Operation(
    "POST",
    "/upload",
    "resumable_create",
    verbs.create,
    "IETF: begin a resumable upload",
    {201: ("It goes on at `Location`.", None), **_DONE},
    (
        *_BYTES,
        errors.NeverFits,
        errors.NoRoom,
        errors.TicketExpired,
        errors.TicketUsedUp,
    ),
    parameters=(
        _INTEROP,
        _COMPLETE,
        _LENGTH,
        header("Content-Disposition", 'The name: `inline; filename="a.mp4"` (RFC 6266).'),
        _DIGEST,
        header("Repr-Digest", "Of the file (RFC 9530): crc64nvme."),
    ),
    body={"content": BINARY},
    begins=True,
    takes_guests=True,
    statuses=status_of,
    render=render,
    takes=begins,
)
_OPTIONS = Operation(
    "OPTIONS",
    "/upload",
    "resumable_options",
    verbs.options,
    "IETF: what may be uploaded",
    {204: ("`Upload-Limit`.", None)},
    takes_guests=True,
    statuses=status_of,
    render=render,
)
_HEAD = Operation(
    "HEAD",
    "/upload/{upload_id}",
    "resumable_head",
    verbs.retrieve,
    "IETF: where to go on",
    {204: ("`Upload-Offset`.", None)},
    (*_GONE, errors.BadRequest),
    parameters=(_INTEROP,),
    takes_guests=True,
    statuses=status_of,
    render=render,
)
_GET = replace(_HEAD, method="GET", name="resumable_get")
_PATCH = Operation(
    "PATCH",
    "/upload/{upload_id}",
    "resumable_patch",
    verbs.patch,
    "IETF: append bytes, and complete the upload with the last ones",
    {204: ("They are safe, up to `Upload-Offset`.", None), **_DONE},
    (*_GONE, *_BYTES, errors.OffsetDiffers, errors.UploadClosed, WrongMediaType),
    parameters=(
        _INTEROP,
        header("Upload-Offset", "Where the bytes begin."),
        _COMPLETE,
        _LENGTH,
        _DIGEST,
    ),
    body={"content": {PARTIAL: {"schema": {"type": "string", "format": "binary"}}}},
    takes_guests=True,
    statuses=status_of,
    render=render,
)
_DELETE = Operation(
    "DELETE",
    "/upload/{upload_id}",
    "resumable_delete",
    verbs.delete,
    "IETF: cancel the upload",
    {204: ("Cancelled.", None)},
    (*_GONE, errors.BadRequest, errors.UploadClosed, errors.Busy),
    parameters=(_INTEROP,),
    takes_guests=True,
    statuses=status_of,
    render=render,
)

#: Beside the ordinary upload.
ROUTES = (_CREATE, _OPTIONS, _HEAD, _GET, _PATCH, _DELETE)


def _at_tus(operation: Operation, path: str) -> Operation:
    name, takes = f"{operation.name}_at_tus", operation.takes or is_spoken
    return replace(operation, path=path, name=name, takes=takes, is_shown=bool(path))


#: Where tus clients go; for requests of this protocol only.
AT_TUS = (
    _at_tus(_CREATE, "/"),
    _at_tus(_CREATE, ""),
    *(_at_tus(each, "/{upload_id}") for each in (_HEAD, _GET, _PATCH, _DELETE)),
)
