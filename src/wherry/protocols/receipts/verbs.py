"""The verb of receipts, and what is answered to anybody who verifies one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from wherry.core.errors import BadRequest
from wherry.core.requests import Caller
from wherry.engine import Engine
from wherry.protocols.answers import NOT_STORED, JsonAnswer
from wherry.protocols.parsing import parse_id
from wherry.protocols.receipts.models import render_keys

#: The path of the public keys.
KEYS = "/receipt-keys"


async def receipt(request: Request, caller: Caller, engine: Engine) -> Response:
    upload_id = parse_id(request.path_params["upload_id"])
    if (wanted := request.query_params.get("sha256", "false")) not in ("true", "false"):
        raise BadRequest("sha256", "must be true or false")
    signed = await engine.receipts.issue(caller, upload_id, with_sha256=wanted == "true")
    return Response(f"{signed}\n", media_type="application/jose", headers=NOT_STORED)


async def keys(engine: Engine) -> Response:
    """The public keys, for everybody: whoever has a receipt may verify it."""
    return JsonAnswer(render_keys(engine.receipts.public_keys()))
