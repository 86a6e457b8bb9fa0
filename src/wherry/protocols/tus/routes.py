"""The operations of tus, for the router and for OpenAPI."""

from __future__ import annotations

from dataclasses import replace

from wherry.core import errors
from wherry.core.errors import UploadError
from wherry.protocols.errors import WrongMediaType, WrongMethod, WrongVersion
from wherry.protocols.openapi import header
from wherry.protocols.operation import Operation
from wherry.protocols.problem import STATUS
from wherry.protocols.tus import verbs
from wherry.protocols.tus.models import HEADERS, OCTETS

#: What tus-js-client repeats, besides all from 500 on. It asks for the offset first.
_REPEATED = frozenset({409, 423})
#: Refusals after which it is right to ask for the offset, and go on from there.
_ASKED_FIRST = (errors.OffsetDiffers, errors.UploadClosed)
#: Refusals that have another status in tus than elsewhere.
_STATUS = {
    errors.DigestMismatch: 460,
    errors.RangeOutside: 413,
    errors.NeverFits: 413,
    errors.MadeOfPieces: 403,
}


def status_of(error: type[UploadError]) -> int:
    """A status that clients repeat, if and only if the request may succeed later."""
    if (status := _STATUS.get(error)) is not None:
        return status
    status = STATUS[error]
    if error.retryable:
        return status if status >= 500 or status in _REPEATED else 503
    return 400 if status in _REPEATED and error not in _ASKED_FIRST else status


_GONE = (errors.UploadNotFound, errors.UploadGone, WrongVersion)
#: What whoever finds an upload whole may be told.
_COMPLETES = (
    errors.TypeRefused,
    errors.ContentRefused,
    errors.HookFailed,
    errors.HookEndsServer,
    errors.DiskFull,
    errors.Busy,
)
_BYTES = (
    errors.BadRequest,
    errors.TooLarge,
    errors.LengthRequired,
    errors.RangeOutside,
    errors.BodyCut,
    errors.BodyStalled,
    errors.DigestMismatch,
    errors.TypeRefused,
    errors.DiskFull,
    errors.Busy,
    errors.Queued,
    errors.ContentRefused,
    errors.HookFailed,
    errors.HookEndsServer,
    WrongMediaType,
)
_RESUMABLE = header("Tus-Resumable", "1.0.0")
_CHECKSUM = header("Upload-Checksum", "Of the body: the algorithm, and the digest in base64.")
_BODY = {"content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}

_CREATE = Operation(
    "POST",
    "/",
    "tus_create",
    verbs.create,
    "tus: begin an upload",
    {201: ("A new upload, at `Location`.", None)},
    (
        *_BYTES,
        errors.NeverFits,
        errors.NoRoom,
        errors.UploadNotFound,
        errors.UploadGone,
        errors.MadeOfPieces,
        errors.TicketExpired,
        errors.TicketUsedUp,
        WrongVersion,
    ),
    parameters=(
        _RESUMABLE,
        header("Upload-Length", "Bytes of the file."),
        header("Upload-Defer-Length", "1, if the length comes later."),
        header("Upload-Metadata", "Pairs of a key and a value in base64; `filename`, `filetype`."),
        header("Upload-Concat", "`partial`, or `final;` and the addresses of partial uploads."),
        _CHECKSUM,
    ),
    body=_BODY,
    begins=True,
    takes_guests=True,
    statuses=status_of,
    headers=HEADERS,
)
_OPTIONS = Operation(
    "OPTIONS",
    "/",
    "tus_options",
    verbs.options,
    "tus: what the server can do",
    {200: ("Versions, extensions, the largest file.", None)},
    takes_guests=True,
    statuses=status_of,
    headers=HEADERS,
)
_HEAD = Operation(
    "HEAD",
    "/{upload_id}",
    "tus_head",
    verbs.head,
    "tus: where to go on",
    {200: ("`Upload-Offset`.", None)},
    (*_GONE, *_COMPLETES),
    parameters=(_RESUMABLE,),
    takes_guests=True,
    statuses=status_of,
    headers=HEADERS,
)
_GET = Operation(
    "GET",
    "/{upload_id}",
    "tus_get",
    verbs.download,
    "tus: the bytes of the finished file, for its owner; ranges are served",
    {
        200: ("The file.", None),
        206: ("A range of it.", None),
        416: ("No byte of the range is in the file.", None),
    },
    (
        errors.UploadNotFound,
        errors.UploadGone,
        errors.NotThere,
        errors.BadRequest,
        errors.BytesMissing,
        errors.Queued,
        *_COMPLETES,
    ),
    statuses=status_of,
    headers=HEADERS,
)
_PATCH = Operation(
    "PATCH",
    "/{upload_id}",
    "tus_patch",
    verbs.patch,
    "tus: append bytes",
    {204: ("They are safe, up to `Upload-Offset`.", None)},
    (
        *_GONE,
        *_BYTES,
        errors.OffsetDiffers,
        errors.LengthMismatch,
        errors.UploadClosed,
        errors.MadeOfPieces,
    ),
    parameters=(
        _RESUMABLE,
        header("Upload-Offset", "Where the bytes begin."),
        header("Upload-Length", "Bytes of the file, if they were not known before."),
        _CHECKSUM,
    ),
    body={"required": True, **_BODY},
    takes_guests=True,
    statuses=status_of,
    headers=HEADERS,
)
_DELETE = Operation(
    "DELETE",
    "/{upload_id}",
    "tus_delete",
    verbs.delete,
    "tus: cancel the upload, or delete its finished file",
    {204: ("Cancelled or deleted.", None)},
    (*_GONE, errors.UploadClosed, errors.Busy),
    parameters=(_RESUMABLE,),
    takes_guests=True,
    statuses=status_of,
    headers=HEADERS,
)
_OVERRIDDEN = replace(
    _PATCH,
    method="POST",
    name="tus_overridden",
    verb=verbs.overridden,
    summary="tus: the method that `X-HTTP-Method-Override` names",
    refusals=(*_PATCH.refusals, WrongMethod),
    parameters=(header("X-HTTP-Method-Override", "PATCH, HEAD or DELETE."), *_PATCH.parameters),
)

ROUTES = (
    _CREATE,
    replace(_CREATE, path="", is_shown=False),  # without a slash, which not every client sends
    _OPTIONS,
    replace(_OPTIONS, path="", is_shown=False),
    replace(_OPTIONS, path="/{upload_id}", is_shown=False),
    _HEAD,
    _GET,  # behind HEAD, which is no GET without the content here
    _PATCH,
    _DELETE,
    _OVERRIDDEN,
)
