"""The operations of the chunked API, for the router and for OpenAPI."""

from __future__ import annotations

from wherry.core import errors
from wherry.core.upload import State
from wherry.protocols.chunked import models, operators, verbs
from wherry.protocols.chunked.accepted import AcceptedFiles, accepted
from wherry.protocols.chunked.early_verdict import EarlyVerdictFacts, early_verdict
from wherry.protocols.openapi import (
    BYTES,
    FINGERPRINT,
    ID,
    REPORT,
    file_body,
    header,
    json_body,
    page_parameters,
    query,
)
from wherry.protocols.operation import Operation

_GONE = (errors.UploadNotFound, errors.UploadGone)

_INIT = Operation(
    "POST",
    "/init",
    "init",
    verbs.init,
    "Begin an upload, or find the open one of the same file",
    {
        201: ("A new upload.", models.Begun),
        200: ("The open upload of the same file.", models.Begun),
        202: ("There is no room yet: the upload waits in the queue.", models.Begun),
    },
    (
        errors.BadRequest,
        errors.TooLarge,
        errors.NeverFits,
        errors.NoRoom,
        errors.DiskFull,
        errors.TicketExpired,
        errors.TicketUsedUp,
    ),
    body=json_body(models.InitRequest),
    begins=True,
    takes_guests=True,
)
_CHUNK = Operation(
    "POST",
    "/chunk",
    "chunk",
    verbs.chunk,
    "Send bytes: in any order, in parallel, any of them again",
    {200: ("The bytes are safe.", models.Received)},
    (
        errors.BadRequest,
        errors.TooLarge,
        *_GONE,
        errors.LengthRequired,
        errors.UploadClosed,
        errors.MadeOfPieces,
        errors.BodyStalled,
        errors.DigestMismatch,
        errors.TypeRefused,
        errors.DiskFull,
        errors.Queued,
    ),
    parameters=(
        query("upload_id", ID, "From init."),
        query("offset", BYTES, "Where the bytes begin."),
        query("chunk_index", BYTES, "Instead of offset: times the chunk_size of init."),
        *REPORT,
        header("Content-Digest", "Of the body (RFC 9530): sha-512, sha-256, crc64nvme, crc32c."),
    ),
    body=file_body(verbs.FILE_FIELD, {"upload_id": ID, "offset": BYTES, "chunk_index": BYTES}),
    takes_guests=True,
)
_DIRECT = Operation(
    "POST",
    "/direct",
    "direct",
    verbs.direct,
    "Ask where to send parts to the object store, and again when that has expired",
    {200: ("Addresses.", models.Addresses)},
    (errors.BadRequest, *_GONE, errors.UploadClosed, errors.MadeOfPieces, errors.Queued),
    body=json_body(models.DirectRequest),
    takes_guests=True,
)
_DIRECT_RECEIVED = Operation(
    "POST",
    "/direct/received",
    "direct_received",
    verbs.direct_received,
    "Report parts that were sent to the object store",
    {200: ("The parts are safe.", models.Received)},
    (
        errors.BadRequest,
        *_GONE,
        errors.UploadClosed,
        errors.MadeOfPieces,
        errors.PartsMissing,
        errors.TooFragmented,
        errors.Queued,
    ),
    body=json_body(models.ReportRequest),
    takes_guests=True,
)
_COMPLETE = Operation(
    "POST",
    "/complete",
    "complete",
    verbs.complete,
    "Hand the file over; the same answer when it is asked again",
    {
        200: ("Complete.", models.Completed),
        202: ("Still completing: ask again, or ask for the status.", models.Completed),
    },
    (
        errors.BadRequest,
        *_GONE,
        errors.BytesMissing,
        errors.FileDigestMismatch,
        errors.DigestDiffers,
        errors.TypeRefused,
        errors.HookFailed,
        errors.HookEndsServer,
        errors.Busy,
        errors.Queued,
    ),
    body=json_body(models.CompleteRequest),
    takes_guests=True,
)
_CANCEL = Operation(
    "POST",
    "/cancel",
    "cancel",
    verbs.cancel,
    "Cancel the upload; its space is free when this answers",
    {200: ("Cancelled.", models.Cancelled)},
    (errors.BadRequest, errors.UploadNotFound, errors.UploadClosed, errors.Busy),
    body=json_body(models.CancelRequest),
    takes_guests=True,
)
_DELETE = Operation(
    "DELETE",
    "/{upload_id}",
    "delete",
    verbs.delete,
    "Cancel the upload",
    {204: ("Cancelled.", None)},
    (errors.UploadNotFound, errors.UploadClosed, errors.Busy),
    takes_guests=True,
)
_STATUS = Operation(
    "GET",
    "/{upload_id}",
    "status",
    verbs.status,
    "The status: what has been received",
    {200: ("The upload.", models.UploadStatus)},
    (errors.UploadNotFound,),
    takes_guests=True,
)
_EARLY_VERDICT = Operation(
    "GET",
    "/{upload_id}/early-verdict",
    "early_verdict",
    early_verdict,
    "What the bytes received so far show of a video",
    {200: ("What is known.", EarlyVerdictFacts)},
    (errors.UploadNotFound, errors.UploadClosed),
    takes_guests=True,
)
_EVENTS = Operation(
    "GET",
    "/{upload_id}/events",
    "events",
    verbs.events,
    "The status as a stream of events, for at most 25 seconds",
    {200: ("text/event-stream", None)},
    (errors.UploadNotFound,),
    takes_guests=True,
)

_PAGE = (
    *page_parameters("uploads"),
    query(
        "state",
        {"type": "array", "items": {"type": "string", "enum": [each.value for each in State]}},
        "Only uploads in these states: repeated, or separated by commas.",
    ),
)


def _list_own(path: str, is_shown: bool) -> Operation:
    return Operation(
        "GET",
        path,
        "listing",
        verbs.list_own,
        "The caller's own uploads",
        {200: ("A page of the list.", models.UploadPage)},
        (errors.BadRequest,),
        parameters=(*_PAGE, FINGERPRINT),
        is_shown=is_shown,
        takes_guests=True,  # only with a fingerprint
    )


_LIST_ALL = Operation(
    "GET",
    "/all",
    "everybodys",
    verbs.list_all,
    "The uploads of all owners, for operators",
    {200: ("A page of the list.", operators.OperatorsPage)},
    (errors.BadRequest, errors.NotThere),
    parameters=_PAGE,
    is_operators=True,
)
_ANY = Operation(
    "GET",
    "/all/{upload_id}",
    "anybodys",
    operators.status,
    "An upload of any owner, for operators",
    {200: ("The upload.", operators.OperatorsUpload)},
    (errors.UploadNotFound, errors.NotThere),
    is_operators=True,
)
_CANCEL_ANY = Operation(
    "DELETE",
    "/all/{upload_id}",
    "cancel_anybodys",
    operators.cancel,
    "Cancel an upload of any owner, for operators",
    {204: ("Cancelled.", None)},
    (errors.UploadNotFound, errors.UploadClosed, errors.Busy, errors.NotThere),
    is_operators=True,
)
_OVERVIEW = Operation(
    "GET",
    "/overview",
    "overview",
    operators.overview,
    "Queue, storage, paths and worker, for operators",
    {200: ("How the server is.", operators.OverviewFacts)},
    (errors.NotThere,),
    is_operators=True,
)
_SWEEP = Operation(
    "POST",
    "/sweep",
    "sweep",
    operators.sweep,
    "Delete what is due now, or say what is, for operators",
    {200: ("What was deleted.", operators.SweepResult)},
    (errors.BadRequest, errors.TooLarge, errors.BodyStalled, errors.NotThere),
    body=json_body(operators.SweepRequest),
    is_operators=True,
)
_STORAGE = Operation(
    "GET",
    "/storage",
    "storage",
    verbs.storage,
    "The space on the volume, and how much of it is reserved, for operators",
    {200: ("Bytes, and counts of uploads.", models.StorageUse)},
    (errors.NotThere,),
    is_operators=True,
)
_ACCEPTED = Operation(
    "GET",
    "/accepted",
    "accepted",
    accepted,
    "Which files the server accepts: sizes and types",
    {200: ("Bytes and media types.", AcceptedFiles)},
    takes_guests=True,
    takes_readers=True,
)

ROUTES = (
    _INIT,
    _CHUNK,
    _DIRECT,
    _DIRECT_RECEIVED,
    _COMPLETE,
    _CANCEL,
    _ACCEPTED,
    _STORAGE,
    _OVERVIEW,
    _SWEEP,
    _LIST_ALL,
    _ANY,
    _CANCEL_ANY,
    _list_own("/", is_shown=True),
    _list_own("", is_shown=False),  # without a slash, which not every client sends
    _STATUS,
    _DELETE,
    _EARLY_VERDICT,
    _EVENTS,
)
