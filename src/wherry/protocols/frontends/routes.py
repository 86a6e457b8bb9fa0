"""The operations of other front ends, for the router and for OpenAPI."""

from __future__ import annotations

from wherry.core import errors
from wherry.protocols.frontends import filepond, verbs
from wherry.protocols.frontends.models import Answer
from wherry.protocols.frontends.refusals import status_of
from wherry.protocols.openapi import BINARY, BYTES, ID, file_body, header, query
from wherry.protocols.operation import Operation

_BEGINS = (
    errors.BadRequest,
    errors.TooLarge,
    errors.NeverFits,
    errors.NoRoom,
    errors.DiskFull,
    errors.LengthRequired,
    errors.TicketExpired,
    errors.TicketUsedUp,
)
_RECEIVES = (
    *_BEGINS,
    errors.UploadNotFound,
    errors.UploadGone,
    errors.UploadClosed,
    errors.RangeOutside,
    errors.ChunkTooSmall,
    errors.TooFragmented,
    errors.BodyCut,
    errors.BodyStalled,
    errors.Superseded,
    errors.TypeRefused,
    errors.ContentRefused,
    errors.HookFailed,
    errors.HookEndsServer,
    errors.Busy,
    errors.Queued,
)
_RECEIVED = {
    200: ("Received; with `assessment_id` when the upload is complete.", Answer),
    202: ("All bytes are there, and the application still takes the file.", Answer),
}
_TEXT = "The upload's id, as text."
_NUMBERED = (
    query("resumableChunkNumber", {"type": "integer", "minimum": 1}, "Or `flowChunkNumber`, …"),
    query("resumableChunkSize", BYTES, "Of all chunks but the last."),
    query("resumableCurrentChunkSize", BYTES, "Of this chunk."),
    query("resumableTotalSize", BYTES, "Of the file."),
    query("resumableIdentifier", {"type": "string"}, "The client's own name for the file."),
    query("resumableFilename", {"type": "string"}, "The name of the file."),
)
_TRANSFER = query("patch", ID, "The id that POST has answered.")

ROUTES = (
    Operation(
        "GET",
        "/resumable",
        "test_resumable",
        verbs.test,
        "Resumable.js, Flow.js: whether the server has a chunk",
        {200: ("It has.", Answer), 204: ("It has not.", None)},
        (errors.BadRequest, errors.RangeOutside),
        parameters=_NUMBERED,
        takes_guests=True,
        statuses=status_of,
    ),
    Operation(
        "POST",
        "/resumable",
        "resumable",
        verbs.chunk,
        "Resumable.js, Flow.js: send a chunk",
        _RECEIVED,
        _RECEIVES,
        parameters=_NUMBERED,
        body=file_body("file", {}),
        takes_guests=True,
        statuses=status_of,
    ),
    Operation(
        "POST",
        "/dropzone",
        "dropzone",
        verbs.dropzone,
        "Dropzone: send a chunk or a whole file",
        _RECEIVED,
        _RECEIVES,
        body=file_body("file", {"dzuuid": {"type": "string"}, "dzchunkbyteoffset": BYTES}),
        takes_guests=True,
        statuses=status_of,
    ),
    Operation(
        "POST",
        "/filepond",
        "filepond",
        filepond.process,
        "FilePond: begin an upload in chunks, or send a whole file",
        {200: (_TEXT, None), 202: (_TEXT, None)},
        _RECEIVES,
        parameters=(header("Upload-Length", "Bytes; only for an upload in chunks."),),
        body=file_body("filepond", {}),
        begins=True,
        takes_guests=True,
        statuses=status_of,
    ),
    Operation(
        "PATCH",
        "/filepond",
        "filepond_chunk",
        filepond.patch,
        "FilePond: send a chunk",
        _RECEIVED,
        _RECEIVES,
        parameters=(
            _TRANSFER,
            header("Upload-Offset", "Where the bytes begin."),
            header("Upload-Length", "Bytes of the file."),
            header("Upload-Name", "The name of the file."),
        ),
        body={"required": True, "content": BINARY},
        takes_guests=True,
        statuses=status_of,
    ),
    Operation(
        "HEAD",
        "/filepond",
        "filepond_offset",
        filepond.head,
        "FilePond: where to go on (`Upload-Offset`)",
        {200: ("The offset.", None)},
        (errors.UploadNotFound, errors.UploadGone),
        parameters=(_TRANSFER,),
        takes_guests=True,
        statuses=status_of,
    ),
    Operation(
        "DELETE",
        "/filepond",
        "filepond_revert",
        filepond.revert,
        "FilePond: cancel an upload, or delete its finished file",
        {204: ("Cancelled or deleted.", None)},
        (errors.TooLarge, errors.UploadClosed, errors.BodyCut, errors.BodyStalled, errors.Busy),
        takes_guests=True,
        statuses=status_of,
    ),
)
