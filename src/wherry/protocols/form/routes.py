"""The operation of the ordinary upload, for the router and for OpenAPI."""

from __future__ import annotations

from wherry.core import errors
from wherry.protocols.form import models, verbs
from wherry.protocols.openapi import FINGERPRINT, file_body, header
from wherry.protocols.operation import Operation

ROUTES = (
    Operation(
        "POST",
        "/upload",
        "upload",
        verbs.upload,
        "Send one whole file in one request",
        {
            200: ("Complete.", models.Uploaded),
            202: ("Still completing: ask for the status.", models.Uploaded),
        },
        (
            errors.BadRequest,
            errors.TooLarge,
            errors.NeverFits,
            errors.NoRoom,
            errors.DiskFull,
            errors.LengthRequired,
            errors.BodyStalled,
            errors.TypeRefused,
            errors.HookFailed,
        ),
        parameters=(
            header("Content-Disposition", "With a raw body: the file's name (RFC 6266)."),
            FINGERPRINT,
        ),
        body=file_body(verbs.FILE_FIELD, {}),
    ),
)
