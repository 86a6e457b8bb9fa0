"""The standalone server: the router, API keys, health."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

import uvicorn
from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wherry import __version__
from wherry.app import App, check_storage, log_to_stderr
from wherry.auth import Keys, is_loopback, keys_file, known_caller
from wherry.core.errors import NotThere
from wherry.core.limits import KiB
from wherry.core.requests import Caller
from wherry.protocols import watching
from wherry.protocols.route import route_class
from wherry.router import build_router, page_router, short_router
from wherry.settings import Settings

log = logging.getLogger("wherry")

#: What the header lines of a request may have and take, in bytes and seconds.
HEADERS_LIMIT, HEADERS_SECONDS = 128 * KiB, 10.0
#: How long open requests may go on after SIGTERM, in seconds.
GRACE = 2

LOOPBACK_WARNING = (
    "anonymous access: everybody on this machine may upload, and is the operator too. "
    "Put no proxy in front that the world can reach: to this server every request through it "
    "comes from this machine. For others, add a key (wherry keys add NAME) and use it."
)


class BoundedHeaders(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with an end to what it reads before it knows what is asked.

    Header lines may have `HEADERS_LIMIT` bytes in all and take `HEADERS_SECONDS`; the
    connection is closed otherwise. Bodies are bounded elsewhere.
    """

    _deadline: asyncio.TimerHandle
    _in_headers = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_headers()

    def on_message_begin(self) -> None:
        self._expect_headers()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._deadline.cancel()
        self._in_headers = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > HEADERS_LIMIT:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def _expect_headers(self) -> None:
        if self._in_headers:
            self._deadline.cancel()
        self._in_headers, self._header_bytes = True, 0
        self._deadline = self.loop.call_later(HEADERS_SECONDS, self.transport.close)


class NoKeys(Exception):
    """Nobody could get in, or everybody could."""


def create_app(settings: Settings, host: str) -> FastAPI:
    """The server for this address. Raises `NoKeys` for one that others reach."""
    keys = Keys(keys_file(settings.data))
    caller = known_caller(keys)
    if not keys.are_required() and is_loopback(host):
        log.warning(LOOPBACK_WARNING)
    elif not keys.all():
        raise NoKeys(
            f"there are no API keys, and without keys only this machine is let in, on a loopback "
            f"address. Add one: wherry keys add NAME --data {settings.data}"
        )

    def operator(request: Request) -> Caller:
        found = caller(request)
        if not found.operator:
            raise NotThere
        return found

    app = App(settings)
    api = FastAPI(title="Wherry", version=__version__, docs_url=None, redoc_url=None)
    api.include_router(build_router(app, caller, operator), prefix="/api")
    api.include_router(short_router(app, caller), prefix="/api")
    api.include_router(page_router(asks_for_key=True))
    api.include_router(watched(app, operator))
    return api


def watched(app: App, operator: Callable[[Request], Caller]) -> APIRouter:
    """What monitoring asks: `/healthz` and `/readyz` of anybody's, `/metrics` of an operator's."""
    router = APIRouter(route_class=route_class(app.metrics), include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> Response:
        await app.engine()
        return JSONResponse({"status": "ok", "version": __version__})

    @router.get("/readyz")
    async def readyz() -> Response:
        return await watching.ready(await app.engine())

    @router.get("/metrics")
    async def metrics(request: Request, caller: Caller = Depends(operator)) -> Response:  # noqa: B008
        return await watching.metrics(request, caller, await app.engine())

    return router


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises `NoKeys`."""
    log_to_stderr()
    os.umask(0o077)  # what is uploaded here is nobody else's on this machine
    check_storage(settings)
    log.info("serving data=%s", settings.data.absolute())
    uvicorn.run(
        create_app(settings, host),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE,
        server_header=False,
        http=BoundedHeaders,
        ws="none",
    )
