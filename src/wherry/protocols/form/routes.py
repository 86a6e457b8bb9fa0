"""The operation of the ordinary upload, for the router and for OpenAPI."""

from __future__ import annotations

from wherry.core import errors
from wherry.protocols.form import verbs
from wherry.protocols.openapi import FINGERPRINT, REPORT, file_body, header
from wherry.protocols.operation import Operation
from wherry.protocols.whole import Uploaded

ROUTES = (
    Operation(
        "POST",
        "/upload",
        "upload",
        verbs.upload,
        "Send one whole file in one request",
        {
            200: ("Complete.", Uploaded),
            202: ("Still completing: ask for the status.", Uploaded),
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
            errors.DigestMismatch,
            errors.HookFailed,
            errors.Busy,
            errors.UploadGone,
            errors.LengthMismatch,
            errors.DigestDiffers,
            errors.TicketExpired,
            errors.TicketUsedUp,
        ),
        parameters=(
            header("Content-Disposition", "With a raw body: the file's name (RFC 6266)."),
            header(
                "Content-Digest", "Of a raw body (RFC 9530): sha-512, sha-256, crc64nvme, crc32c."
            ),
            header(
                "Idempotency-Key",
                "A random text in quotes. A repeated request with it gets the answer of the first.",
            ),
            FINGERPRINT,
            *REPORT,
        ),
        body=file_body(verbs.FILE_FIELD, {}),
        begins=True,
        takes_guests=True,
    ),
)
