"""Requests that wait for clients which cannot: for the queue, and before a refusal.

Clients of other protocols know nothing of the queue, repeat a refused request at once, and some of
them three times only.
"""

from __future__ import annotations

import asyncio
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from wherry.core.errors import UploadError
from wherry.core.requests import Caller
from wherry.core.upload import Upload
from wherry.engine import Engine
from wherry.protocols.operation import Verb

#: How long a request waits for the queue, in seconds.
PATIENCE = 20.0
#: How long a refusal waits at most, in seconds.
LONGEST_WAIT = 5.0
#: How often something is looked up again, in seconds.
POLL_INTERVAL = 0.25


async def until_admitted(upload: Upload, caller: Caller, engine: Engine, end: float) -> Upload:
    """The upload when it has left the queue, or as it is at `end`, a time of the event loop."""
    while upload.queued_at is not None and not is_over(end, engine):
        await asyncio.sleep(POLL_INTERVAL)
        upload = await engine.status(caller, upload.id)
    return upload


def latest(engine: Engine) -> float:
    """Until when a request may wait, as a time of the event loop.

    The rest of its body is not read meanwhile, and the time for that goes on.
    """
    longest = min(PATIENCE, engine.settings.chunk_timeout / 3)
    return asyncio.get_running_loop().time() + longest


def is_over(end: float, engine: Engine) -> bool:
    return asyncio.get_running_loop().time() >= end or engine.is_stopping


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
