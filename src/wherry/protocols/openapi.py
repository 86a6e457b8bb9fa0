"""What OpenAPI says of each verb, made from the same models that parse it.

The routes declare no body, so that nothing is read before it is known who asks;
what they take and answer is said here instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from wherry.core import errors
from wherry.core.errors import UploadError
from wherry.core.pages import LARGEST_PAGE, PAGE
from wherry.protocols import chunked, files, form, watching
from wherry.protocols.problem import STATUS

RANGES = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
    "description": "Byte ranges [start, end).",
}
ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
NULL = {"type": "null"}
STATES = ["waiting", "receiving", "completing", "complete", "cancelled", "expired", "failed"]


def _object(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


RECEIVED = {
    "received_bytes": {"type": "integer"},
    "size": {"type": ["integer", "null"]},
    "offset": {"type": "integer", "description": "Bytes safe from 0 without a gap."},
    "missing": RANGES | {"description": "The first 100 gaps, as byte ranges [start, end)."},
}
UPLOAD = {
    "upload_id": ID,
    "state": {"type": "string", "enum": STATES},
    "filename": {"type": "string"},
    "content_type": {"type": ["string", "null"]},
    "fingerprint": {"type": ["string", "null"], "description": "As the client gave it."},
    "chunk_size": {"type": "integer"},
    "received": RANGES,
    "digest": {"type": ["string", "null"], "description": "The file's, crc64nvme (RFC 9530)."},
    "assessment_id": {"type": ["string", "null"]},
    "failure": {"type": ["string", "null"]},
    "position": {"type": ["integer", "null"], "description": "In the waiting line; 1 is next."},
    "retry_after": {"type": ["integer", "null"], "description": "Seconds, in the line."},
    "expires_at": {"type": ["string", "null"], "format": "date-time"},
    "deleted_at": {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "When the finished file was deleted, or moved away by on_complete.",
    },
    **RECEIVED,
}
INIT = {
    **UPLOAD,
    "total_chunks": {"type": ["integer", "null"]},
    "limits": _object(
        {
            "max_size": {"type": ["integer", "null"]},
            "min_chunk": {"type": "integer"},
            "max_chunk": {"type": "integer"},
        }
    ),
    "concurrency": {"type": "integer"},
}
LIST = {
    "uploads": {"type": "array", "items": _object(UPLOAD)},
    "next": {
        "type": ["string", "null"],
        "description": "What `after` must be for the next page; null on the last one.",
    },
}
DONE = {
    "upload_id": ID,
    "assessment_id": {"type": ["string", "null"]},
    "state": {"type": "string", "enum": ["completing", "complete"]},
}
PROBLEM = _object(
    {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "retryable": {"type": "boolean"},
        "hint": {"type": "string"},
    }
)
STEP = _object(
    {
        "name": {"type": "string"},
        "state": {"type": "string", "enum": ["waiting", "running", "done", "failed", "skipped"]},
        "seconds": {"type": ["number", "null"]},
    }
)
ASSESSMENT = {
    "assessment_id": ID,
    "upload_id": ID,
    "state": {"type": "string", "enum": ["queued", "running", "done", "failed"]},
    "steps": {"type": "array", "items": STEP},
    "report": {"type": ["object", "null"]},
    "problem": {"type": ["string", "null"]},
    "worker": {
        "type": ["object", "null"],
        "properties": {
            "state": {"type": "string", "enum": ["starting", "working", "failing"]},
            "problem": {"type": ["string", "null"]},
        },
        "required": ["state", "problem"],
    },
}
STORAGE = {
    name: {"type": "integer"}
    for name in ("total", "free", "reserved", "used", "uploads", "waiting")
}

_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def _form(file_field: str, fields: dict[str, Any]) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    schema = {
        "type": "object",
        "properties": {**fields, file_field: file},
        "required": [file_field],
    }
    return {"multipart/form-data": {"schema": schema}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _model(model: type[BaseModel]) -> dict[str, Any]:
    return {"required": True, "content": _json(model.model_json_schema())}


def _query(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": text}


_LISTING = [
    _query(
        "limit",
        {"type": "integer", "minimum": 1, "default": PAGE},
        f"How many uploads at most; more than {LARGEST_PAGE:,} are not answered at once.",
    ),
    _query("after", {"type": "string"}, "The `next` of the page before."),
    _query(
        "state",
        {"type": "array", "items": {"type": "string", "enum": STATES}},
        "Only uploads in these states: repeated, or separated by commas.",
    ),
    _query(
        "order",
        {"type": "string", "enum": ["oldest", "newest"], "default": "oldest"},
        "Which uploads come first.",
    ),
]
_FINGERPRINT = _query(
    "fingerprint",
    {"type": "string", "minLength": 1},
    "What the client knows the file by. It finds the upload again, in a list.",
)
_OFFSET = {"type": "integer", "minimum": 0}
_GONE = (errors.UploadNotFound, errors.UploadGone)
_OPEN = (errors.BadRequest, errors.TooLarge, errors.NeverFits, errors.NoRoom, errors.DiskFull)

Answers = dict[int, tuple[str, dict[str, Any] | None]]


def _verb(
    summary: str,
    answers: Answers,
    refusals: tuple[type[UploadError], ...] = (),
    **extra: Any,
) -> dict[str, Any]:
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": text} | ({"content": _json(schema)} if schema else {})
        for status, (text, schema) in answers.items()
    }
    always: tuple[type[UploadError], ...] = (errors.Unauthorized, errors.StorageFailed)
    for error in (*always, *refusals):
        codes = responses.setdefault(
            STATUS[error],
            {"description": "", "content": {"application/problem+json": {"schema": PROBLEM}}},
        )
        codes["description"] = ", ".join(filter(None, (codes["description"], error.code)))
    status = min(answers)
    return {
        "summary": summary,
        "status_code": status,
        "responses": responses,
        "openapi_extra": extra,
    }


DESCRIPTIONS: dict[Callable[..., Any], dict[str, Any]] = {
    chunked.init: _verb(
        "Begin an upload, or find the open one of the same file",
        {
            201: ("A new upload.", _object(INIT)),
            200: ("The open one.", _object(INIT)),
            202: ("It stands in the waiting line.", _object(INIT)),
        },
        _OPEN,
        requestBody=_model(chunked.InitRequest),
    ),
    chunked.chunk: _verb(
        "Bring bytes, in any order, in parallel, repeated at will",
        {200: ("Safe.", _object(RECEIVED))},
        (
            *_OPEN[:2],
            *_GONE,
            errors.LengthRequired,
            errors.UploadClosed,
            errors.BodyStalled,
            errors.DigestMismatch,
            errors.TypeRefused,
            errors.DiskFull,
            errors.InLine,
        ),
        parameters=[
            _query("upload_id", ID, "From init."),
            _query("offset", _OFFSET, "Where the bytes begin."),
            _query("chunk_index", _OFFSET, "Instead of offset: times the chunk_size of init."),
            {
                "name": "Content-Digest",
                "in": "header",
                "schema": {"type": "string"},
                "description": "Of the body (RFC 9530): sha-512, sha-256, crc64nvme, crc32c.",
            },
        ],
        requestBody={
            "required": True,
            "content": _BINARY
            | _form("chunk", {"upload_id": ID, "offset": _OFFSET, "chunk_index": _OFFSET}),
        },
    ),
    chunked.complete: _verb(
        "Hand the file over; asked again, the same answer",
        {200: ("Complete.", _object(DONE)), 202: ("Still completing.", _object(DONE))},
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
            errors.InLine,
        ),
        requestBody=_model(chunked.CompleteRequest),
    ),
    chunked.cancel: _verb(
        "Give the upload up; the space is free when it answers",
        {200: ("Given up.", _object({"upload_id": ID, "state": UPLOAD["state"]}))},
        (errors.BadRequest, errors.UploadNotFound, errors.UploadClosed, errors.Busy),
        requestBody=_model(chunked.CancelRequest),
    ),
    chunked.delete: _verb(
        "Give the upload up",
        {204: ("Given up.", None)},
        (errors.UploadNotFound, errors.UploadClosed, errors.Busy),
    ),
    chunked.status: _verb(
        "What has been received", {200: ("The upload.", _object(UPLOAD))}, (errors.UploadNotFound,)
    ),
    chunked.events: _verb(
        "The status as a stream of events, each answer at most 25 seconds long",
        {200: ("text/event-stream", None)},
        (errors.UploadNotFound,),
    ),
    chunked.listing: _verb(
        "The caller's own uploads",
        {200: ("A page of the list.", _object(LIST))},
        (errors.BadRequest,),
        parameters=[*_LISTING, _FINGERPRINT],
    ),
    chunked.everybodys: _verb(
        "Everybody's uploads, for operators",
        {200: ("A page of the list.", _object(LIST))},
        (errors.BadRequest, errors.NotThere),
        parameters=_LISTING,
    ),
    chunked.storage: _verb(
        "What the volume holds and what is promised of it, for operators",
        {
            200: (
                "Bytes; `uploads` count as open, `waiting` stand in the line.",
                _object(STORAGE),
            )
        },
        (errors.NotThere,),
    ),
    watching.metrics: _verb(
        "Numbers for Prometheus, for operators", {200: ("text/plain", None)}, (errors.NotThere,)
    ),
    form.upload: _verb(
        "One whole file in one request",
        {
            200: ("Complete.", _object({**DONE, "size": {"type": "integer"}})),
            202: ("Still completing.", _object({**DONE, "size": {"type": "integer"}})),
        },
        (*_OPEN, errors.LengthRequired, errors.BodyStalled, errors.TypeRefused, errors.HookFailed),
        requestBody={"required": True, "content": _BINARY | _form("file", {})},
        parameters=[
            {
                "name": "Content-Disposition",
                "in": "header",
                "schema": {"type": "string"},
                "description": "With a raw body: names the file (RFC 6266).",
            },
            _FINGERPRINT,
        ],
    ),
    files.get_file: _verb(
        "The finished bytes, for their owner; ranges are served",
        {
            200: ("The file.", None),
            206: ("A range of it.", None),
            416: ("No byte of the range is in the file.", None),
        },
        (errors.UploadNotFound,),
    ),
    files.delete_file: _verb(
        "Delete the finished file",
        {204: ("Deleted.", None)},
        (errors.UploadNotFound, errors.UploadClosed),
    ),
    files.get_assessment: _verb(
        "An assessment: its steps as they happen, then its report",
        {200: ("The assessment.", _object(ASSESSMENT))},
        (errors.NotThere,),
    ),
    files.get_picture: _verb(
        "A picture that an assessment made", {200: ("The picture.", None)}, (errors.NotThere,)
    ),
}


def describe(verb: Callable[..., Any], path: str) -> dict[str, Any]:
    """What `add_api_route` takes to describe this verb at this path."""
    described = DESCRIPTIONS[verb]
    extra = described["openapi_extra"]
    named = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    parameters = [*named, *extra.get("parameters", ())]
    return {**described, "openapi_extra": {**extra, "parameters": parameters}}
