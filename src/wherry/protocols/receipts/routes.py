"""The operation of receipts, for the router and for OpenAPI."""

from __future__ import annotations

from typing import Any

from wherry.core import errors
from wherry.protocols.openapi import json_content, query, schema_of
from wherry.protocols.operation import Operation
from wherry.protocols.receipts import models, verbs

ROUTES = (
    Operation(
        "GET",
        "/{upload_id}/receipt",
        "receipt",
        verbs.receipt,
        "A signed receipt for a complete upload",
        {200: ("application/jose: a JSON Web Signature.", None)},
        (
            errors.BadRequest,
            errors.UploadNotFound,
            errors.UploadGone,
            errors.UploadClosed,
            errors.NotThere,
            errors.Busy,
        ),
        parameters=(
            query(
                "sha256",
                {"type": "boolean", "default": False},
                "Whether it has the SHA-256, for which the file is read once.",
            ),
        ),
        takes_guests=True,
    ),
)


def described_keys() -> dict[str, Any]:
    """The arguments of `add_api_route` that describe the public keys. They need no login."""
    content = json_content(schema_of(models.JsonWebKeys))
    return {
        "summary": "The public keys of receipts, for everybody, as JSON Web Keys",
        "responses": {200: {"description": "The keys.", "content": content}},
    }
