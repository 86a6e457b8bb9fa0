"""Refusals as these front ends understand them.

Rule 1: a refusal that the same request can overcome has a status that none of them takes for final,
and any other refusal one that is final. Resumable.js repeats a chunk up to a hundred times after
any status but these.

Rule 2: they repeat at once, and some of them three times only. So a refusal that can be overcome
waits before it is sent.
"""

from __future__ import annotations

import asyncio
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from wherry.core.errors import UploadError
from wherry.core.requests import Caller
from wherry.engine import Engine
from wherry.protocols.operation import Verb
from wherry.protocols.problem import STATUS

#: `permanentErrors` of Resumable.js 1.1.
FINAL = frozenset({400, 401, 403, 404, 409, 415, 500, 501})
#: How long a refusal waits at most, in seconds, and how often it is looked whether the server
#: stops.
LONGEST_WAIT, POLL_INTERVAL = 5.0, 0.25


def status_of(error: type[UploadError]) -> int:
    status = STATUS[error]
    if error.retryable:
        return 503 if status in FINAL else status
    return status if status in FINAL else 400


def unhurried(verb: Verb) -> Verb:
    """The verb, whose refusals wait as long as they say, but not longer than `LONGEST_WAIT`."""

    @wraps(verb)
    async def perform(request: Request, caller: Caller, engine: Engine) -> Response:
        try:
            return await verb(request, caller, engine)
        except UploadError as error:
            left = min(error.facts().get("retry_after", 0), LONGEST_WAIT) if error.retryable else 0
            while left > 0 and not engine.is_stopping:
                await asyncio.sleep(min(left, POLL_INTERVAL))
                left -= POLL_INTERVAL
            raise

    return perform
