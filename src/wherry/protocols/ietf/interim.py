"""The interim responses of a request: 104 (Upload Resumption Supported), and what follows from it.

Rule 1: never to a client that has not asked for this version of the protocol, because many take a
104 for the final answer; and not through a proxy unless the operator says that it passes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from wherry.core.errors import OffsetDiffers, UploadError
from wherry.core.requests import Caller
from wherry.core.upload import Upload
from wherry.engine import Engine
from wherry.protocols.bodies.offer import offer_of
from wherry.protocols.ietf.models import INTEROP, Asked, parse
from wherry.protocols.informing import Informing
from wherry.protocols.operation import Verb

STATUS = 104
#: How often a client is told how many of its bytes are safe, in seconds.
PROGRESS_EVERY = 5.0
#: Headers that a request has only behind a proxy.
_OF_PROXIES = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
)


class Interim:
    def __init__(self, request: Request, asked: Asked, engine: Engine) -> None:
        self._informing = Informing(request)
        self._version = asked.version
        wanted = engine.settings.interim_responses
        is_direct = not any(name in request.headers for name in _OF_PROXIES)
        passes = wanted == "always" or (wanted == "direct" and is_direct)
        #: Whether the client can be told where the upload is, before its body has come.
        self.is_possible = self._informing.is_possible and asked.is_known and passes

    async def send(self, headers: Mapping[str, str]) -> None:
        """Send a 104, if the client can be told anything by it."""
        if self.is_possible:
            every = {**headers, INTEROP: str(self._version.number)}
            lines = [(name.encode(), value.encode()) for name, value in every.items()]
            await self._informing.send(STATUS, lines)

    @asynccontextmanager
    async def telling(self, upload: Upload, caller: Caller, engine: Engine) -> AsyncIterator[None]:
        """Meanwhile, tell the client how many of its bytes are safe."""
        if not self.is_possible:
            yield
            return
        task = asyncio.create_task(self._tell(upload, caller, engine))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _tell(self, upload: Upload, caller: Caller, engine: Engine) -> None:
        told = upload.offset
        while True:
            await asyncio.sleep(PROGRESS_EVERY)
            offset = (await engine.status(caller, upload.id)).offset
            if offset > told:
                await self.send({"Upload-Offset": str(offset)})
                told = offset


def dropping(verb: Verb) -> Verb:
    """The verb, whose refusals drop the connection if the client has to ask for the offset.

    Rule 3 of the package. A client that has not been told the address of its upload is answered.
    """

    @wraps(verb)
    async def perform(request: Request, caller: Caller, engine: Engine) -> Response:
        try:
            return await verb(request, caller, engine)
        except UploadError as error:
            offer = offer_of(request.scope)  # other servers cannot drop a connection
            if offer is not None and error.retryable and not isinstance(error, OffsetDiffers):
                is_resumed = "upload_id" in request.path_params
                can_be_told = Interim(request, parse(request), engine).is_possible
                if STATUS in offer.sent or (is_resumed and can_be_told):
                    offer.drop()
            raise

    return perform
